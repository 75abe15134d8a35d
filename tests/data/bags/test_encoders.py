from __future__ import annotations

import logging
import re

import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags import BagInfo, encoders
from pathplugins.data.bags.encoders import check_encoder, unfit_encoders, usual_encoder
from pathplugins.published.encoder_names import encoder_key


def info(encoder: str | None) -> BagInfo:
    return BagInfo(path="s.h5", rows=3, width=1536, dtype="float16", convention="pathplugins", encoder=encoder)


@pytest.fixture(autouse=True)
def nobody_warned() -> None:
    encoders._WARNED.clear()


@pytest.mark.parametrize("name", ["gigapath", "Prov-GigaPath", "prov_gigapath", "hf-hub:prov-gigapath/prov-gigapath"])
def test_every_spelling_is_the_same_encoder(name: str) -> None:
    assert encoder_key(name) == "gigapath"
    check_encoder(info(name), "gigapath")
    check_encoder(info("gigapath"), name)


@pytest.mark.parametrize("name", ["uni2-h", "UNI_v2", "hoptimus0", "h-optimus-1", "gigapath (random weights, seed 3)"])
def test_another_encoder_is_refused(name: str) -> None:
    said = (
        f"s.h5: features are of the encoder {name!r}, but the vision tower was trained on those of 'gigapath'; "
        "extract the slide with gigapath, or set allow_other_encoder: true "
    )
    with pytest.raises(BagError, match=re.escape(said)) as caught:
        check_encoder(info(name), "gigapath")
    assert caught.value.reason == "another encoder"
    check_encoder(info(name), None)


def test_a_bag_that_names_none_warns_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.WARNING, logger="pathplugins")
    monkeypatch.setenv("RANK", "1")
    check_encoder(info(None), "gigapath")
    assert caplog.messages == []  # another process of the run says it
    monkeypatch.setenv("RANK", "0")
    for _ in range(3):
        check_encoder(info(None), "gigapath")
        assert unfit_encoders({"a.h5": None}, "gigapath") == {}
    (said,) = caplog.messages
    assert said == (
        "s.h5: no patch encoder is named, so nothing checks that the features are of gigapath; write the name with "
        "`pathdata convert features s.h5 --encoder NAME --out DIR`"
    )


def test_bags_of_one_run_name_one_encoder(caplog: pytest.LogCaptureFixture) -> None:
    run = {"a.h5": "uni2-h", "b.h5": "gigapath", "c.h5": "GigaPath", "d.h5": None}
    assert usual_encoder(run) == "gigapath"
    assert usual_encoder({"a.h5": "uni", "b.h5": "conch"}) == "uni"
    assert usual_encoder({"d.h5": None}) is None
    unfit = unfit_encoders(run, None)
    assert unfit == {
        "a.h5": "a.h5: features are of the encoder 'uni2-h', but 2 of 3 bags of this run name 'gigapath'; expected one "
        "encoder: extract all with the same one, or set allow_other_encoder: true (commands: --allow-other-encoder)"
    }
    assert "1 of 4 bags (first: d.h5): no patch encoder is named" in caplog.text
    assert [*unfit_encoders(run, "uni2-h")] == ["b.h5", "c.h5"]
    assert [*unfit_encoders({"b.h5": "gigapath"}, None, settled="uni2-h")] == ["b.h5"]
