// What the pages ask the server, and what they say of its state.

const EVERY = 4000; // milliseconds between two looks at the state

export async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: start `graft open` again, and open the address that it prints.");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const ended = "This page is of an earlier `graft open`: open the address that it printed last.";
    throw new Error(said.error || (answer.status === 403 ? ended : answer.statusText));
  }
  return said;
}

export function post(path, said) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(said) });
}

export function notify(key, text, bad = false) {
  const notices = document.getElementById("notices");
  let own = notices.querySelector(`[data-key="${key}"]`);
  if (!text) {
    own?.remove();
    return;
  }
  if (!own) {
    own = document.createElement("p");
    own.dataset.key = key;
    notices.append(own);
  }
  own.classList.toggle("bad", bad);
  if (own.textContent !== text) own.textContent = text;
}

export function showWaiting(count) {
  const decisions = count === 1 ? "1 decision waits" : `${count.toLocaleString("en")} decisions wait`;
  document.getElementById("waiting").textContent = count ? `${decisions} for the next build` : "";
}

// Calls `onChange(state)` now, and whenever a build has written other files.
export function watchState(onChange) {
  let version = null;
  async function look() {
    try {
      const state = await ask("/api/state");
      notify("server", "");
      const during = "A build is at work. What you decide now counts in the next one.";
      notify("building", state.building ? during : "");
      showWaiting(state.waiting || 0);
      if (state.version !== version) {
        const first = version === null;
        version = state.version;
        await onChange(state, first);
        notify("changed", first ? "" : "A build has changed the data. This page shows them as they are now.");
      }
    } catch (error) {
      notify("server", error.message, true);
    }
    setTimeout(look, EVERY);
  }
  look();
}
