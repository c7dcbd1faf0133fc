// The model, in a thread of its own: the page stays quick whatever it is given.
//
// It says { ready } with model.json, or { broken } with the reason, once; and of each photo that it is
// sent { probabilities, preview }, or { problem }.

import { open, prepare, startsAsJpeg, Unreadable } from "./decoding.js";

const here = (path) => new URL(`../${path}`, import.meta.url).href;
const RUNTIME = "node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

class Broken extends Error {}

async function load() {
  const [about, model, runtime] = await Promise.all([
    read("model.json").then((answer) => answer.json()),
    read("model.onnx").then((answer) => answer.arrayBuffer()),
    import(here(RUNTIME)).catch(() => {
      throw new Broken("The runtime is missing: run npm install in the folder of this page, then load the page again.");
    }),
  ]);
  runtime.env.wasm.numThreads = 1; // more need headers that plain servers do not send
  const session = await runtime.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return { about, runtime, session };
}

async function read(name) {
  const answer = await fetch(here(name), { cache: "no-cache" }); // an export may be made anew
  if (!answer.ok) throw new Broken(`${name} is missing beside the page.`);
  return answer;
}

async function answer({ about, runtime, session }, photo) {
  const fromCamera = photo instanceof ImageBitmap;
  const bitmap = fromCamera ? photo : await open(photo);
  const isJpeg = !fromCamera && await startsAsJpeg(photo);
  const { square, preview } = await prepare(bitmap, isJpeg, about.input);
  const pixels = square.data.filter((_, at) => at % 4 !== 3); // red, green and blue
  const shape = [1, square.height, square.width, 3];
  const tensor = new runtime.Tensor(about.input.dtype, Uint8Array.from(pixels), shape);
  const found = await session.run({ [about.input.name]: tensor });
  return { probabilities: found[about.output.name].data, preview };
}

const loading = load();
loading.then(
  ({ about }) => self.postMessage({ ready: about }),
  (error) => self.postMessage({
    broken: error instanceof Broken ? error.message : `The model cannot be loaded: ${error.message}`,
  }),
);

self.onmessage = async ({ data: photo }) => {
  try {
    const said = await answer(await loading, photo);
    self.postMessage(said, [said.preview]);
  } catch (error) {
    const problem = error instanceof Unreadable ? error.message : `The picture cannot be used: ${error.message}`;
    self.postMessage({ problem });
  }
};
