"""What a model file says of itself: its classes, the pixels that it takes, and how good it is.

A `.keras` file has it as one more member, and a graph of OpenVINO in the part of its `.xml` that is
for such notes. Both are one line of JSON, and both programs load these files as any others.
"""

import filecmp
import json
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from graft.common.atomic import whole
from graft.common.errors import UserError, refuse
from graft.models.stacks import POOLINGS

# The member of a `.keras` file, and the note of a graph.
_MEMBER, _NOTE = "graft.json", "graft"
# Version of what is written here; another one is not read.
_FORMAT = 2
# Bytes of the longest that is read: a million names of classes, and more than any model has.
_LONGEST = 2**26
# The earliest time that a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
_ALLOWED = "a model that graft made, such as data/models/finetuned.keras or finetuned.xml"

_Text = Annotated[str, Field(min_length=1)]
_Whole = Annotated[int, Field(ge=1, le=2**31)]


@dataclass(frozen=True)
class ModelDescription:
    """What a user of a model file needs to know.

    Attributes:
        classes: their names, in the order of the model's outputs, which are probabilities.
        inputs: what the model takes, float32: `pixels` (batch, side, side, 3), RGB, 0–255, or
            `features` (batch, width), those of the network at `layer`.
        side: of the images in pixels.
        fit: how a photo became a square: `stretch`, `crop` or `pad`, as of `decode`.
        background: the colour behind transparent pixels, as of `decode`.
        white_level: the value that is white in grey files of more than 8 bits, as of `decode`.
        network: the parameter `backbone.name`.
        weights: the parameter `backbone.weights`: where the network's weights were from.
        layer: the layer of the network whose output is the feature.
        pooling: how its map or tokens become the feature, a value of `backbone.pooling`.
        temperature: by which the logits were divided to calibrate the model, as `training.json` has
            it; this is in the weights already. It is 1 for a fine-tuned model that is the head on
            the network.
        accuracy: on the test part, 0–1.
        n: images of the test part.
        units: of the test part, as `count_units` has them: right ones, images, how many such units.
        data: SHA-256 of `data/split.csv`, which lists every image by a hash of its bytes, with its
            label and part: 64 hexadecimal digits.
        graft: the version that made it.
    """

    __pydantic_config__: ClassVar = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    classes: Annotated[tuple[_Text, ...], Field(min_length=2)]
    inputs: Literal["pixels", "features"]
    side: Annotated[int, Field(ge=1, le=2**14)]
    fit: Literal["stretch", "crop", "pad"]
    network: _Text
    weights: _Text
    layer: _Text
    pooling: Literal[POOLINGS]
    temperature: Annotated[float, Field(gt=0)]
    accuracy: Annotated[float, Field(ge=0, le=1)]
    n: _Whole
    units: Annotated[
        tuple[tuple[Annotated[int, Field(ge=0)], _Whole, _Whole], ...], Field(max_length=20_000)
    ]
    data: Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
    graft: _Text
    background: Annotated[str, Field(pattern=r"\A(white|black|grey|#[0-9A-Fa-f]{6})\z")] = "white"
    white_level: Annotated[int, Field(ge=1, lt=2**31)] | Literal["auto"] = "auto"


def write_description(path: Path, description: ModelDescription) -> None:
    """Writes what a model is into its file, in place of what it says already.

    The model stays as it is: the weights of a graph, in the `.bin` beside it, are not touched.

    Args:
        path: `.keras`, or the `.xml` of a graph.
        description: what it is.
    """
    # What is as it was before it could be chosen is not said, so that files stay as they were.
    usual = {field.name: field.default for field in fields(description)}
    said = {key: value for key, value in asdict(description).items() if value != usual[key]}
    text = json.dumps({"format": _FORMAT, **said}, sort_keys=True)
    with whole(path) as (part,):
        (_note_in_graph if path.suffix == ".xml" else _note_in_keras)(path, part, text)


def read_description(path: Path) -> ModelDescription:
    """Reads what a model file says of itself.

    Args:
        path: `.keras`, or the `.xml` of a graph, with its `.bin` beside it.

    Raises:
        UserError: it is no such file, or does not say what it is, or not in this form.
    """
    if not path.is_file():
        raise _refuse_model(path, "no such file")
    if path.suffix not in (".keras", ".xml"):
        raise _refuse_model(path, "neither .keras nor .xml")
    text = (_note_of_graph if path.suffix == ".xml" else _note_of_keras)(path)
    try:
        found = json.loads(text)
        version = found.pop("format", None) if isinstance(found, dict) else None
        if version != _FORMAT or isinstance(version, bool):
            raise _refuse_model(path, f"a description of the format {str(version)[:20]!r}")
        # Again as text: what is a list in JSON may be a tuple only there.
        description = TypeAdapter(ModelDescription).validate_json(json.dumps(found))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise _refuse_model(path, f"{where}: {first['msg'][:200]}") from None
    except (ValueError, RecursionError) as error:
        raise _refuse_model(path, f"not JSON: {str(error)[:200]}") from None
    if len(set(description.classes)) < len(description.classes):
        raise _refuse_model(path, "classes: a name that is there twice")
    sound = all(right <= images for right, images, _ in description.units)
    if not sound or sum(images * n for _, images, n in description.units) != description.n:
        raise _refuse_model(path, "units: others than those of n images")
    return description


def _refuse_model(path: Path, problem: str) -> UserError:
    return refuse(repr(str(path)), _ALLOWED, problem)


def _note_in_keras(path: Path, part: Path, text: str) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(part, "w") as new:
        for info in old.infolist():
            if info.filename != _MEMBER:
                new.writestr(info, old.read(info))
        new.writestr(zipfile.ZipInfo(_MEMBER, EPOCH), text)


def _note_of_keras(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
            data = member.read(_LONGEST + 1)
    except KeyError:
        raise _refuse_model(path, f"a file without {_MEMBER}") from None
    except Exception as error:  # broken archives make zipfile raise almost anything
        raise _refuse_model(path, " ".join(str(error)[:200].split())) from None
    if len(data) > _LONGEST:
        raise _refuse_model(path, f"{_MEMBER} of more than {_LONGEST >> 20} MiB")
    return data.decode("utf-8", "replace")


def _note_in_graph(path: Path, part: Path, text: str) -> None:
    import openvino

    model = openvino.Core().read_model(path)
    model.set_rt_info(text, [_NOTE])
    openvino.serialize(model, part)
    # The weights are written once more, and go with the temporary folder.
    if not filecmp.cmp(part.with_suffix(".bin"), path.with_suffix(".bin"), shallow=False):
        raise RuntimeError(f"a note would change the weights of {path}")


def _note_of_graph(path: Path) -> str:
    from openvino.frontend import FrontEndManager

    try:
        # Its own format alone: of another file, readers of other formats would log what is wrong.
        form = FrontEndManager().load_by_framework("ir")
        model = form.convert(form.load(str(path)))
        note = model.get_rt_info([_NOTE]).value if model.has_rt_info([_NOTE]) else None
    except Exception as error:  # a broken graph makes OpenVINO raise errors of several kinds
        raise _refuse_model(path, " ".join(str(error).split())[-200:]) from None
    if not isinstance(note, str):
        raise _refuse_model(path, "a graph without the note of graft")
    if len(note) > _LONGEST:
        raise _refuse_model(path, f"a note of more than {_LONGEST >> 20} MiB")
    return note
