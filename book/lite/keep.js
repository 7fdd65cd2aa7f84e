// Keeps what a live page has loaded, so that the next visit takes it from this machine, without a network too. Each edition of
// the book has a cache of its own, and a page names its edition: this worker stays the same when another edition comes, for
// a browser may let a new worker wait for minutes. JupyterLite's own worker follows below, for all that is not kept.
{
  const CACHES = "mechlib-live-", EDITION = /<html data-edition="(\w+)"/;
  const LITE = new URL("./", self.location.href).href, ASKED = /\/api\/(drive|stdin|service-worker-heartbeat)/;
  const worthKeeping = (address) => address.startsWith(LITE) && !ASKED.test(address);

  /** The cache of the edition that was seen last, by its name; none before the first. */
  const named = async () => (await caches.keys()).find((name) => name.startsWith(CACHES));
  const ours = async () => { const name = await named(); return name && caches.open(name); };

  /** Begin the cache of an edition, and drop all others. */
  async function begin(edition) {
    const names = await caches.keys();
    for (const name of names) if (name.startsWith(CACHES) && name !== CACHES + edition) await caches.delete(name);
    return caches.open(CACHES + edition);
  }

  /** A page comes from the network, so that a new edition is seen; without a network, from the cache. */
  async function page({ request }) {
    const address = request.url.split(/[?#]/)[0];
    let response, text;
    try {
      response = await fetch(request, { cache: "no-cache" });
      text = await response.clone().text();
    } catch (error) {
      const kept = await (await ours())?.match(address);
      if (kept) return kept;
      throw error;
    }
    const [, edition] = EDITION.exec(text) ?? [];
    const keep = async () => (await begin(edition)).put(address, response.clone());
    if (response.ok && edition) await keep().catch(() => {}); // the disk may be full
    return response;
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

  // what a page has loaded is kept when the page has time: the browser still has it; not for an edition that has gone
  self.addEventListener("message", (event) => event.waitUntil((async () => {
    const { edition, loaded = [] } = event.data ?? {};
    if (!edition || ((await named()) ?? CACHES + edition) !== CACHES + edition) return;
    const cache = await caches.open(CACHES + edition);
    for (const address of loaded) {
      if (worthKeeping(address) && !(await cache.match(address))) await cache.add(address).catch(() => {}); // the disk may be full
    }
  })()));
}
