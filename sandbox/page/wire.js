// Where what arrives comes from: the WebSocket of the page's server, or a recording that lies beside the page.

const PAUSE = 1000;  // milliseconds before it is tried again

// `hear` has opened(), took(frame) and closed(). Returns what sends, and says why where it cannot.
export function connect(hear) {
  const recording = document.documentElement.dataset.recording;
  if (!recording) return speak(hear);
  replay(recording, hear);
  return { send: () => "This is a recording. `make play` lets you do it yourself." };
}

function speak(hear) {
  let socket;
  function open() {
    socket = new WebSocket(new URL("socket", location.href.replace(/^http/, "ws")));
    socket.addEventListener("open", hear.opened);
    socket.addEventListener("message", (event) => hear.took(JSON.parse(event.data)));
    socket.addEventListener("close", () => { hear.closed(); setTimeout(open, PAUSE); });
  }
  open();
  return { send(wanted) {
    if (socket.readyState !== WebSocket.OPEN) return "The page is cut off.";
    socket.send(JSON.stringify(wanted));
    return "";
  } };
}

async function replay(address, hear) {
  const recorded = await (await fetch(address)).json();
  const began = Date.now();
  const speed = Number(new URLSearchParams(location.search).get("speed")) || 1;
  const later = began - recorded.began * 1000;
  hear.opened();
  for (const [at, frame] of recorded.frames) {
    await new Promise((resolve) => setTimeout(resolve, began + (at * 1000) / speed - Date.now()));
    hear.took(JSON.parse(moved(JSON.stringify(frame), later)));
  }
}

// What was said then is shown as if it was said now.
const moved = (text, milliseconds) => text
  .replace(/<t:(\d+)/g, (_, seconds) => `<t:${Math.round(Number(seconds) + milliseconds / 1000)}`)
  .replace(/"(timestamp|edited_timestamp)":"([^"]+)"/g, (_, name, at) => `"${name}":"${new Date(Date.parse(at) + milliseconds).toISOString()}"`);
