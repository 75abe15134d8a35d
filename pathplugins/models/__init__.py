"""Vision towers, token selectors, connectors and the model made of them; knows no trainer."""
