// The links from page to page. A new page is a folder beside this one, its routes in pages.rs, and a line here.

const PAGES = [
  ["/", "Socket.IO", "The chat over Socket.IO"],
  ["/native", "WebSocket", "The same chat over the browser's own WebSocket"],
];

const here = location.pathname.replace(/(.)\/$/, "$1");

document.getElementById("pages").replaceChildren(
  ...PAGES.map(([path, label, title]) => {
    const link = document.createElement("a");
    link.href = path;
    link.textContent = label;
    link.title = title;
    if (path === here) link.setAttribute("aria-current", "page");
    // Who goes over stays in the room.
    link.addEventListener("click", () => (link.hash = location.hash));
    return link;
  }),
);
