"""Metadata, and the files that no package holds: ``pathplugins.pth`` and the trainer configurations."""

import base64
import hashlib
import re
import shutil
import zipfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).parent
HOOK = "pathplugins.pth"
CONFIGS = ("llamafactory_configs", "xtuner_configs")
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "pathplugins" / "__init__.py").read_text(), re.MULTILINE)[1]

# Lower bounds only: installing beside a working trainer must move none of its packages. The trainers bring torch and
# transformers, so those are not even named.
REQUIRES = ["h5py>=3.8", "numpy>=1.24", "pillow>=10.0", "rich>=13.0"]
EXTRAS = {
    "llamafactory": ["llamafactory>=0.9.3", "torchvision>=0.19", "deepspeed>=0.16.2"],
    "xtuner": ["xtuner>=0.1.23", "deepspeed>=0.16.2"],
    "wsi": [
        *("openslide-python>=1.4", "openslide-bin>=4.0", "tifffile>=2024.2", "imagecodecs>=2024.1"),
        "simplejpeg>=1.7",
        *("timm>=1.0", "matplotlib>=3.7"),
    ],
    "readers": [
        *("pydicom>=3.0", "pylibCZIrw>=6.1"),
        *('wsidicom>=0.36; python_version >= "3.11"', 'zarr>=3.1; python_version >= "3.11"'),
    ],
    "pathgen": [
        *("huggingface_hub>=0.24", "open_clip_torch>=2.24", "pyyaml>=6.0", "requests>=2.31", "scikit-learn>=1.3"),
    ],
    "patchtcga": [
        *("accelerate>=0.26", "jinja2>=3.0", "lightly>=1.5", "pyyaml>=6.0"),
        *("segmentation-models-pytorch>=0.3.4", "tensorboard>=2.14", "timm>=1.0", "torchmetrics>=1.2"),
    ],
    "ray": ["ray>=2.9"],
    "scores": ["jinja2>=3.0", "nltk>=3.9", "rouge-score>=0.1.2"],
    "serve": ["fastapi>=0.110", "jinja2>=3.0", "prometheus-client>=0.20", "python-multipart>=0.0.9", "uvicorn>=0.27"],
    "tissue": ["onnxruntime>=1.17"],
    "test": [
        *("codespell[toml]>=2.2", "hypothesis>=6.100", "pytest>=8.0", "ruff>=0.9", "pyyaml>=6.0"),
        *("playwright>=1.49", "setuptools>=70.1"),
    ],
}


class BuildPy(build_py):
    """Adds the hook and the configurations to what goes into site-packages."""

    def find_package_modules(self, package, package_dir):
        """All modules but the stand-in for the data tools, which are a real folder here."""
        modules = super().find_package_modules(package, package_dir)
        return [found for found in modules if found[:2] != ("pathplugins", "data_tools")]

    def run(self):
        """Copy the packages, then the rest; an editable install reads everything from the checkout."""
        super().run()
        if self.editable_mode:
            return
        shutil.copyfile(ROOT / HOOK, Path(self.build_lib, HOOK))
        for name in (name for name in CONFIGS if (ROOT / name).is_dir()):  # an archive holds no empty folder
            target = Path(self.build_lib, "pathplugins", name)
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(ROOT / name, target, ignore=ignored, dirs_exist_ok=True)


class EditableWheel(editable_wheel):
    """An editable wheel that is one line with the path of the checkout, and the hook."""

    def initialize_options(self):
        """One root for all; any other layout gets an import finder that costs every start of Python 3 ms or more."""
        super().initialize_options()
        self.distribution.package_dir = {"": "."}
        self.distribution.packages = find_packages(include=["pathplugins", "pathplugins.*"])

    def run(self):
        """Build the wheel, then add the hook: setuptools takes no files of our own into an editable wheel."""
        super().run()
        (wheel,) = Path(self.dist_dir).glob("pathplugins-*editable*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        hook = (ROOT / HOOK).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(hook).digest()).rstrip(b"=").decode()
        record = next(name for name in files if name.endswith(".dist-info/RECORD"))
        files[record] = f"{HOOK},sha256={digest},{len(hook)}\n".encode() + files[record]
        files[HOOK] = hook
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)


setup(
    name="pathplugins",
    version=VERSION,
    description="Pathology vision-language models in an unmodified LLaMA-Factory or XTuner",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    packages=[
        *find_packages(include=["pathplugins", "pathplugins.*"]),
        "pathplugins.data_tools",
        *(f"pathplugins.data_tools.{name}" for name in find_packages("data_tools")),
    ],
    package_dir={"pathplugins.data_tools": "data_tools"},
    package_data={
        **{"pathplugins.data_tools": ["prompts/*"], "pathplugins.classify": ["configs/*.yaml"]},
        "pathplugins.classify.scoring": ["page/*"],
        "pathplugins.commands.report": ["page/*"],
        # OpenSeadragon too, where `pathplugins get-viewer` has put it: such a wheel needs no network later.
        "pathplugins.commands.serve": ["page/*", "page/openseadragon/*"],
        "pathplugins.data.scoring": ["clinical_terms.txt", "judge_rubric.txt"],
    },
    entry_points={
        "console_scripts": ["pathplugins = pathplugins.cli:main", "pathdata = pathplugins.data_tools.cli:main"],
        # torch calls this on import, also where .pth files are not read (PYTHONPATH, pip install --target).
        "torch.backends": ["pathplugins = pathplugins.bootstrap:install"],
        "vllm.general_plugins": ["pathplugins = pathplugins.vllm_plugin:register"],
    },
    cmdclass={"build_py": BuildPy, "editable_wheel": EditableWheel},
    zip_safe=False,
)
