// Photos from the camera. It runs only while its picture is shown.

const REASONS = {
  NotAllowedError: "The camera was not allowed. The browser's settings for this page can change that.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is in use by another program.",
};

/**
 * @param {Element} panel - has a video and the buttons `take` and `close`; hidden while it is off
 * @param {Element} button - opens it
 * @param {function(ImageBitmap)} give - gets each photo
 * @param {function(string)} complain - gets what goes wrong
 */
export function useCamera(panel, button, give, complain) {
  const video = panel.querySelector("video");
  const taking = panel.querySelector(".take");

  async function start() {
    complain("");
    if (!navigator.mediaDevices) {
      complain("A browser lends its camera to pages of this computer or of https:// addresses only.");
      return;
    }
    button.disabled = true;
    try {
      // The camera at the back, where there are two; the largest picture of its usual shape.
      const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } };
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted });
      taking.disabled = true; // until there is a picture to take
      panel.hidden = false;
      await video.play();
      taking.disabled = false;
      taking.focus({ preventScroll: true });
      panel.scrollIntoView({ block: "nearest" }); // all of it: the picture above the button, too
    } catch (error) {
      stop();
      complain(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    button.disabled = false;
  }

  function stop() {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    panel.hidden = true;
  }

  button.addEventListener("click", () => (panel.hidden ? start() : stop()));
  taking.addEventListener("click", async () => give(await createImageBitmap(video)));
  panel.querySelector(".close").addEventListener("click", () => {
    stop();
    button.focus();
  });
  window.addEventListener("pagehide", stop);
}
