"""The pages of `graft open`, and what their scripts ask for."""

import base64
import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from graft.common.errors import UserError
from graft.decoder.reasons import Undecodable
from graft.integrity.locks import BUILDING, is_held
from graft.report.page import read_asset
from graft.serving.collection import Collection, Gone, Picture, PresentCollection
from graft.serving.deciding import Decisions
from graft.serving.enlarging import Encoded, encode_picture, make_large, make_small
from graft.serving.inventory import CHOICES_OF_PICTURES, MOST_LISTED, Listing, describe_picture
from graft.serving.nearest_photos import find_feature, find_nearest, read_layer
from graft.serving.trying import ReadyModel

# Bytes of the largest upload, a photo; and of the largest of what else is sent, a decision.
LARGEST_UPLOAD, LARGEST_DECISION = 64 * 2**20, 2**16
# Photos that are answered or wait at once: each may take as much memory as it has pixels.
MOST_UPLOADS = 4
_LABELS, _NEAREST = 5, 6  # that an answer names
_SEEN = 160  # pixels of what the network sees
_HERE = Path(__file__).parent
_PAGES = {"/": "check", "/try": "try", "/all": "all"}
_KINDS = {".js": "text/javascript", ".css": "text/css"}
_CHANGED = (
    "this picture is not as the last build had it: `uv run snakemake --cores all` builds anew"
)


def make_application() -> Starlette:
    """The application, for the project in the present folder; who may ask it is the Guard's."""
    return _Pages().application


class _Pages:
    def __init__(self) -> None:
        self._present, self._decisions, self._model = PresentCollection(), Decisions(), ReadyModel()
        self._listing: Listing | None = None
        self._lock = threading.Lock()
        self._uploads = 0
        self._assets = {path.name: path.read_bytes() for path in (_HERE / "static").iterdir()}
        self._assets["page.css"] = read_asset("page.css").encode()
        folder = jinja2.FileSystemLoader(_HERE / "templates")
        options = {"autoescape": True, "undefined": jinja2.StrictUndefined, "trim_blocks": True}
        self._templates = jinja2.Environment(loader=folder, **options)
        handlers = {UserError: _say_error, Gone: _say_gone, HTTPException: _say_status}
        self.application = Starlette(
            routes=[
                *(Route(path, partial(self._page, name)) for path, name in _PAGES.items()),
                Route("/static/{name}", self._asset),
                Route("/small/{id}", partial(self._image, make_small)),
                Route("/large/{id}", partial(self._image, make_large)),
                Route("/api/state", self._state),
                Route("/api/pictures", self._pictures),
                Route("/api/queue", self._queue),
                Route("/api/near/{id}", self._near),
                Route("/api/decide", self._decide, methods=["POST"]),
                Route("/api/undo", self._undo, methods=["POST"]),
                Route("/api/try", self._try, methods=["POST"]),
            ],
            exception_handlers=handlers,
        )

    # Pages, and what they are made of.

    def _page(self, name: str, request: Request) -> Response:
        template = self._templates.get_template(f"{name}.html.j2")
        return HTMLResponse(template.render(page=name, largest=LARGEST_UPLOAD))

    def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._assets:
            raise HTTPException(404)
        return Response(self._assets[name], media_type=_KINDS[Path(name).suffix])

    def _image(self, make: Callable[[Collection, Picture], Encoded], request: Request) -> Response:
        def encode(listing: Listing) -> Response:
            picture = _find_picture(listing.collection, request.path_params["id"])
            data, kind = make(listing.collection, picture)
            # The address has the version, so what is behind it stays the same.
            lasting = {"Cache-Control": "private, max-age=86400, immutable"}
            return Response(data, media_type=kind, headers=lasting)

        return self._with_listing(encode)

    # What scripts ask for.

    def _state(self, request: Request) -> Response:
        about: dict[str, Any] = {
            "building": any(is_held(path) for path in BUILDING.glob("*")),
            "steps": self._decisions.count_steps(),
            "model_missing": self._model.say_missing(),
            "missing": None,
            "version": "",
        }
        try:
            listing = self._look()
        except UserError as error:
            return JSONResponse(about | {"missing": str(error)})
        own = listing.collection
        known = {
            "version": own.version,
            "source": own.source,
            "corrections": str(own.corrections),
        }
        return JSONResponse(about | known | listing.count(self._decisions.find(own)))

    def _pictures(self, request: Request) -> Response:
        asked = request.query_params
        part = asked.get("part", "")
        if part and part not in CHOICES_OF_PICTURES:
            raise HTTPException(400, f"part must be one of {', '.join(CHOICES_OF_PICTURES)}")
        class_ = _read_number(asked["class"], 10**6) if asked.get("class") else None
        start = _read_number(asked.get("start", "0"), 10**9)
        count = _read_number(asked.get("count", "100"), MOST_LISTED)
        return self._say(lambda its, said: its.list_some(said, class_, part, start, count))

    def _queue(self, request: Request) -> Response:
        return self._say(lambda its, said: {"items": its.list_queue(said)})

    def _near(self, request: Request) -> Response:
        def find(listing: Listing, said: dict[str, str]) -> dict[str, Any]:
            own = listing.collection
            picture = _find_picture(own, request.path_params["id"])
            near = find_nearest(own, find_feature(own, picture), _NEAREST, picture.id)
            return {"near": listing.list_near(near, said)}

        try:
            return self._say(find)
        except Gone:  # no build has features of it yet
            return JSONResponse({"near": [], "version": ""})

    async def _decide(self, request: Request) -> Response:
        said = await _read_json(request)
        id_, label = said.get("id"), said.get("label")
        if not isinstance(id_, str) or not isinstance(label, str):
            raise HTTPException(400, "id and label must be texts")
        return await run_in_threadpool(self._change, id_, label)

    def _change(self, id_: str, label: str) -> Response:
        own = self._look(at_once=True).collection
        self._decisions.decide(own, _find_picture(own, id_), label)
        return self._say_changed(id_)

    async def _undo(self, request: Request) -> Response:
        await _read_json(request)
        return await run_in_threadpool(self._take_back)

    def _take_back(self) -> Response:
        own = self._look(at_once=True).collection
        return self._say_changed(self._decisions.take_back(own))

    def _say_changed(self, id_: str) -> Response:
        def describe(listing: Listing, said: dict[str, str]) -> dict[str, Any]:
            picture = listing.collection.pictures.get(id_)
            shown = describe_picture(picture, said) if picture else None
            waiting = listing.count(said)["waiting"]
            steps = self._decisions.count_steps()
            return {"id": id_, "picture": shown, "steps": steps, "waiting": waiting}

        return self._say(describe)

    async def _try(self, request: Request) -> Response:
        # All run in one thread, so nothing happens between these lines.
        if self._uploads >= MOST_UPLOADS:
            raise HTTPException(429, f"{MOST_UPLOADS} photos at once are the most")
        self._uploads += 1
        try:
            data = await read_body(request, LARGEST_UPLOAD)
            return await run_in_threadpool(self._answer, data)
        finally:
            self._uploads -= 1

    def _answer(self, data: bytes) -> Response:
        try:
            tried = self._model.answer(data, _LABELS)
        except Undecodable as error:
            return JSONResponse({"problem": str(error)})
        image, kind = encode_picture(tried.pixels, _SEEN)
        about = {
            "labels": [{"name": name, "confidence": value} for name, value in tried.labels],
            "seen": f"data:{kind};base64,{base64.b64encode(image).decode('ascii')}",
        }

        def find(listing: Listing, said: dict[str, str]) -> dict[str, Any]:
            if tried.outputs is None:
                raise Gone("the network")
            feature = tried.outputs[read_layer(listing.collection)]
            near = find_nearest(listing.collection, feature, _NEAREST)
            return about | {"near": listing.list_near(near, said)}

        try:
            return self._say(find)
        except (Gone, UserError):  # the model may be there without the training photos
            return JSONResponse(about | {"near": [], "version": ""})

    # The data set as it is now.

    def _look(self, at_once: bool = False) -> Listing:
        collection = self._present.get(at_once)
        with self._lock:
            if self._listing is None or self._listing.collection is not collection:
                self._listing = Listing(collection)
            return self._listing

    def _with_listing(self, make: Callable[[Listing], Response]) -> Response:
        """What is made of the data set, once more if a build has changed it meanwhile."""
        try:
            return make(self._look())
        except Gone:
            return make(self._look(at_once=True))

    def _say(self, describe: Callable[[Listing, dict[str, str]], dict[str, Any]]) -> Response:
        def answer(listing: Listing) -> Response:
            said = self._decisions.find(listing.collection)
            version = {"version": listing.collection.version}
            return JSONResponse(describe(listing, said) | version)

        return self._with_listing(answer)


async def read_body(request: Request, most: int) -> bytes:
    """What was sent with a request.

    Args:
        request: its body is not read yet.
        most: bytes at most.

    Raises:
        HTTPException: there are more (413). No more than that is read.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise HTTPException(413, f"at most {most >> 20} MiB can be sent")
    data = bytearray()
    async for some in request.stream():
        data += some
        if len(data) > most:
            raise HTTPException(413, f"at most {most >> 20} MiB can be sent")
    return bytes(data)


async def _read_json(request: Request) -> dict[str, Any]:

    try:
        said = json.loads(await read_body(request, LARGEST_DECISION))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise HTTPException(400, "what is sent must be an object of JSON")
    return said


def _find_picture(collection: Collection, id_: str) -> Picture:
    if id_ not in collection.pictures:
        raise HTTPException(404, "there is no such picture in the data set")
    return collection.pictures[id_]


def _read_number(text: str, most: int) -> int:
    # Python reads digits of every script, and refuses thousands of them.
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise HTTPException(400, f"a number must be one from 0 to {most}")
    return int(text)


def _say_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


def _say_gone(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": _CHANGED}, 409)


def _say_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
