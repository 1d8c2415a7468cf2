// A part of a page that does not arrive, since the network changed while the page was loading
// or the server was starting anew, leaves the page dead: browsers do not ask for it again.
// This loads the whole page again, soon at first and then after half a minute at most. It is
// the first script of a page, and no module, so that it is there before what may fail.
{
  const times = history.state?.reloads ?? 0; // this page was loaded again, one after the other
  let failed = false;

  const reload = () => {
    if (navigator.onLine) location.reload();
    else addEventListener("online", reload, { once: true });
  };

  // The errors of parts do not bubble, and are no faults of scripts.
  addEventListener("error", ({ target }) => {
    const part = target.localName === "script" || (target.localName === "link" && target.rel !== "icon");
    if (!part || failed) return;
    failed = true;
    history.replaceState({ reloads: times + 1 }, "");
    setTimeout(reload, 50 + Math.random() * Math.min(30_000, 500 * 2 ** times)); // not all pages at once
  }, true);

  addEventListener("load", () => {
    if (times > 0 && !failed) history.replaceState(null, "");
  });
}
