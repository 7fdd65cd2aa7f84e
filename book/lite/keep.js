// Keeps what a live page has loaded, so that the next visit takes it from this machine, without a network too. Each edition of
// the book has a cache of its own. JupyterLite's own worker follows below, for all that is not kept.
{
  const EDITION = "the edition", CACHES = "mechlib-live-", CACHE = CACHES + EDITION;
  const LITE = new URL("./", self.location.href).href, ASKED = /\/api\/(drive|stdin|service-worker-heartbeat)/;
  const worthKeeping = (address) => address.startsWith(LITE) && !ASKED.test(address);

  /** This edition's cache; none once another edition has been seen, whose worker is on its way. */
  const ours = async () => (await caches.has(CACHE)) ? caches.open(CACHE) : undefined;

  /** A page comes from the network, so that a new edition is seen; without a network, from the cache. */
  async function page({ request }) {
    const cache = await ours(), address = request.url.split(/[?#]/)[0];
    try {
      const response = await fetch(request, { cache: "no-cache" }), text = await response.clone().text();
      if (response.ok && text.includes(EDITION)) await cache?.put(address, response.clone());
      else if (response.ok) await caches.delete(CACHE);
      return response;
    } catch (error) {
      const kept = await cache?.match(address);
      if (kept) return kept;
      throw error;
    }
  }

  /** All else comes from the cache if it has been there. */
  async function file({ request }) {
    return (await (await ours())?.match(request)) ?? fetch(request, { cache: "no-cache" }); // what the browser has may be of another edition
  }

  self.addEventListener("fetch", (event) => {
    if (event.request.method !== "GET" || !worthKeeping(event.request.url)) return;
    event.stopImmediatePropagation();
    event.respondWith(event.request.mode === "navigate" ? page(event) : file(event));
  });

  // what a page has loaded is kept when the page has time: the browser still has it
  self.addEventListener("message", (event) => event.waitUntil((async () => {
    const cache = await ours();
    for (const address of event.data?.loaded ?? []) {
      if (cache && worthKeeping(address) && !(await cache.match(address))) await cache.add(address).catch(() => {}); // the disk may be full
    }
  })()));

  self.addEventListener("activate", (event) => event.waitUntil((async () => {
    await caches.open(CACHE);
    for (const name of await caches.keys()) if (name.startsWith(CACHES) && name !== CACHE) await caches.delete(name);
  })()));
}
