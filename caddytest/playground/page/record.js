import { toast } from "./dom.js";

const longest = 60_000; // as WeChat's own

/** wav makes a recording of any kind one of the simplest kind, in telephone quality: WeChat's
    clients send AMR, which browsers do not make. */
async function wav(blob) {
  const rate = 8000;
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
  const from = sound.getChannelData(0);
  const out = new DataView(new ArrayBuffer(44 + from.length * 2));
  const word = (at, s) => [...s].forEach((c, i) => out.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF");
  out.setUint32(4, 36 + from.length * 2, true);
  word(8, "WAVEfmt ");
  out.setUint32(16, 16, true);
  out.setUint16(20, 1, true); // PCM
  out.setUint16(22, 1, true); // mono
  out.setUint32(24, rate, true);
  out.setUint32(28, rate * 2, true);
  out.setUint16(32, 2, true);
  out.setUint16(34, 16, true);
  word(36, "data");
  out.setUint32(40, from.length * 2, true);
  from.forEach((v, i) => out.setInt16(44 + i * 2, Math.max(-1, Math.min(1, v)) * 0x7fff, true));
  return new Blob([out]);
}

/** recorder makes a button record while it is held, or from one key press to the next. */
export function recorder(button, done) {
  let current = null;
  const label = button.textContent;

  async function start() {
    if (current) return;
    const mine = (current = { over: false });
    button.textContent = "松开 发送";
    button.classList.add("on");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      if (mine.over) {
        stream.getTracks().forEach((t) => t.stop());
        return;
      }
      const pieces = [];
      mine.recorder = new MediaRecorder(stream);
      mine.recorder.addEventListener("dataavailable", (e) => pieces.push(e.data));
      mine.recorder.addEventListener("stop", () => {
        stream.getTracks().forEach((t) => t.stop());
        if (Date.now() - mine.began < 500) toast("说话时间太短 (hold it longer)");
        else wav(new Blob(pieces)).then(done, (err) => toast("No recording: " + err.message));
      });
      mine.began = Date.now();
      mine.recorder.start();
      mine.timer = setTimeout(stop, longest);
    } catch (err) {
      stop();
      toast("No recording: " + err.message + ". Choose a file under + instead.");
    }
  }

  function stop() {
    if (!current) return;
    const mine = current;
    current = null;
    mine.over = true;
    clearTimeout(mine.timer);
    button.textContent = label;
    button.classList.remove("on");
    if (mine.recorder?.state === "recording") mine.recorder.stop();
  }

  button.addEventListener("pointerdown", (e) => {
    button.setPointerCapture(e.pointerId);
    start();
  });
  button.addEventListener("pointerup", stop);
  button.addEventListener("pointercancel", stop);
  button.addEventListener("contextmenu", (e) => e.preventDefault());
  button.addEventListener("keydown", (e) => {
    if ((e.key !== "Enter" && e.key !== " ") || e.repeat) return;
    e.preventDefault();
    if (current) stop();
    else start();
  });
}
