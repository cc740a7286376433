// The visitor of a frame is known by what the browser keeps for the site around it, if it keeps that.
let known = "";
try { known = localStorage.getItem(`surehold:${document.body.dataset.enter}`) ?? ""; } catch { /* new */ }
const address = new URL(location.href);
address.searchParams.set("visitor", known);
location.replace(address);
