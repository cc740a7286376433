// "Nearest to me first": the browser asks its owner; what it says goes with the search and nowhere
// else, rounded to about a hundred metres. Without it the search is as it was.
const button = document.querySelector("[data-near-me]");
const field = document.querySelector("[data-near]");

function found({ coords }) {
  field.value = `${coords.latitude.toFixed(3)},${coords.longitude.toFixed(3)}`;
  field.form.submit();
}

function notFound() {
  button.disabled = true;
  button.textContent = "Your browser does not say where you are";
}

if (button && field && "geolocation" in navigator) {
  button.hidden = false;
  button.addEventListener("click", () => {
    if (field.value) {
      field.value = "";
      field.form.submit();
    } else {
      navigator.geolocation.getCurrentPosition(found, notFound, { maximumAge: 300000, timeout: 8000 });
    }
  });
}
