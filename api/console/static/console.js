// Two things that pages cannot do by themselves: keep a button off until a name is typed, and follow a deletion.
"use strict";

const SECOND = 1000;

function guard(form) {
  const typed = form.elements.typed;
  const button = form.querySelector("button");
  const said = document.getElementById("match");
  const look = () => {
    const matches = typed.value === form.dataset.expected;
    button.disabled = !matches;
    const words = matches ? form.dataset.match : typed.value ? form.dataset.differs : "";
    if (said.textContent !== words) said.textContent = words;
  };
  typed.addEventListener("input", look);
  window.addEventListener("pageshow", look); // also when it comes back with what had been typed
  form.addEventListener("submit", () => setTimeout(() => { button.disabled = true; })); // one order, however often it is pressed
  look();
}

// What was open stays open, and the keyboard stays where it was.
function replace(before, after) {
  for (const open of before.querySelectorAll("details[open]")) {
    const same = after.querySelector(`#${CSS.escape(open.id)}`);
    if (same) same.open = true;
  }
  const focused = before.contains(document.activeElement) && document.activeElement;
  const place = focused && (focused.id || focused.closest("[id]").id);
  before.replaceWith(after);
  const again = place && document.getElementById(place);
  if (again) (again.tagName === "DETAILS" ? again.querySelector("summary") : again).focus();
}

function say() {
  const words = document.getElementById("now").textContent.trim();
  const said = document.getElementById("said");
  if (said.textContent !== words) said.textContent = words;
}

async function follow() {
  const shown = document.getElementById("progress");
  if (shown.dataset.underWay !== "yes") return;
  let pause = SECOND;
  try {
    const answer = await fetch(shown.dataset.url, { credentials: "same-origin", signal: AbortSignal.timeout(10 * SECOND) });
    if (answer.redirected || answer.status === 401) {
      location.reload(); // signed out
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    replace(shown, document.adoptNode(read.getElementById("progress")));
    say();
  } catch {
    pause = 5 * SECOND; // the server is away for a moment: what is shown stays
  }
  setTimeout(follow, document.hidden ? 5 * SECOND : pause);
}

const form = document.querySelector("form[data-expected]");
if (form) guard(form);
if (document.getElementById("progress")) setTimeout(follow, SECOND);
