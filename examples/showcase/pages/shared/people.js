// People on a page: what they are called, and how they look.

/** The colour of a person: a hue that depends on the name alone. */
export function hue(name) {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) % 3600;
  return (hash * 137) % 360;
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...words[0]].slice(0, 2);
  return letters.join("").toUpperCase();
}

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function avatar(name) {
  const made = element("span", "avatar", initials(name));
  made.setAttribute("aria-hidden", "true");
  made.style.setProperty("--hue", hue(name));
  return made;
}

/** The name of this window's person: from the address, or that of before, or an invented one. */
export function myName() {
  return new URLSearchParams(location.search).get("name") ?? sessionStorage.getItem("name") ?? inventName();
}

/** Shows who is there as a row of avatars in `list`. */
export function showRow(list, people, myId) {
  list.replaceChildren(
    ...people.map(({ id, name }) => {
      const item = element("li");
      item.title = id === myId ? `${name} (you)` : name;
      item.append(avatar(name), element("span", "hidden", item.title));
      return item;
    }),
  );
}

function inventName() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  const first = pick(["Amber", "Brisk", "Calm", "Clever", "Copper", "Gentle", "Lucky", "Mellow", "Quiet", "Silver", "Swift", "Witty"]);
  const last = pick(["Badger", "Crane", "Finch", "Fox", "Heron", "Lynx", "Marten", "Otter", "Robin", "Stoat", "Swan", "Wren"]);
  return `${first} ${last}`;
}
