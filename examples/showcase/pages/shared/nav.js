// The links from page to page. A new page is a folder beside this one, its routes in pages.rs, and a line here.

const PAGES = [
  ["/", "Chat", "A chat over Socket.IO"],
  ["/native", "Native chat", "The same chat over the browser's own WebSocket"],
  ["/board", "Board", "A board for all, over Socket.IO"],
  ["/text", "Text", "A text that several windows edit at once, over Socket.IO"],
  ["/dashboard", "Dashboard", "Prices that move, over Server-Sent Events"],
  ["/compare", "Comparison", "WebSocket, Server-Sent Events, long-polling and polling side by side"],
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

document.querySelector("#pages [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
