// The window after paying: tells the frame that opened it to look, if it is still there.
const tell = () => { try { opener?.postMessage({ surehold: 1, type: "returned" }, location.origin); } catch { /* gone */ } };
tell();
document.addEventListener("htmx:afterSettle", tell);

const button = document.querySelector("[data-close]");
if (opener) button.hidden = false;
button.addEventListener("click", () => close());
