// A second click changes nothing, and says so: the form is sent once, its button tells what goes on.
// The server is safe without this (every form carries a request id); this is for the person.
document.documentElement.classList.add("js");

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  const button = event.submitter;
  if (!button) return;
  // After the browser has read the form: a disabled button's value would be left out.
  setTimeout(() => {
    button.dataset.said = button.textContent;
    button.disabled = true;
    if (button.dataset.busy) button.textContent = button.dataset.busy;
  });
});

// Coming back with the back button shows the page as it was: make its forms usable again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[data-said]")) {
      button.disabled = false;
      button.textContent = button.dataset.said;
    }
  }
});
