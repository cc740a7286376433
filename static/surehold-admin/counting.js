// How long live holds still have, beside the time at which they end. The server's clock counts; where
// it has run out the word is "ended", and a reload shows what became of it.
function counted(time) {
  const skew = Date.parse(time.dataset.now) - Date.now();
  const said = document.createElement("span");
  said.className = "sh-left";
  time.after(" ", said);
  return { said, skew, ends: Date.parse(time.dateTime) };
}

function show({ said, skew, ends }) {
  const left = Math.ceil((ends - Date.now() - skew) / 1000);
  said.classList.toggle("sh-soon", left <= 300);
  said.textContent = left > 0 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left` : "ended";
}

addEventListener("DOMContentLoaded", () => {
  const clocks = [...document.querySelectorAll("time[data-counting]")].map(counted);
  clocks.forEach(show);
  if (clocks.length) setInterval(() => clocks.forEach(show), 1000);
});
