// Questions to the worker.

// A worker that is loaded from the page itself keeps the page's Content-Security-Policy, so that it
// cannot send anything anywhere either; one from a file of its own would be free of it.
const address = JSON.stringify(new URL("worker.js", import.meta.url).href);
const source = new Blob([`import ${address};`], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(source), { type: "module" });
const STOPPED = "The model has stopped. Load the page again; smaller pictures need less memory.";

let stopped = false;
let tell = () => {}; // gets the answer to what was asked last

/** Resolves to model.json once the model can be asked. */
export const ready = new Promise((resolve, reject) => {
  worker.addEventListener("message", ({ data }) => {
    if (data.ready) resolve(data.ready);
    else if (data.broken) reject(new Error(data.broken));
    else tell(data);
  });
  worker.addEventListener("error", () => {
    stopped = true;
    reject(new Error(STOPPED));
    tell({ problem: STOPPED });
  });
});

/**
 * What the model says of a photo: { probabilities, preview } or { problem }. One is asked at a time.
 *
 * @param {Blob|ImageBitmap} photo - a file, or a picture of the camera, which is handed over
 */
export function ask(photo) {
  return new Promise((resolve) => {
    tell = resolve;
    if (stopped) resolve({ problem: STOPPED });
    else worker.postMessage(photo, photo instanceof ImageBitmap ? [photo] : []);
  });
}
