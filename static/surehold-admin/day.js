// On a narrow screen the day opens at what is next, not at the morning.
const day = document.querySelector(".sh-scroll");
const now = day && day.querySelector(".sh-now");
if (now) {
  const left = now.getBoundingClientRect().left - day.getBoundingClientRect().left;
  day.scrollLeft = Math.max(0, left - day.clientWidth / 2);
}
