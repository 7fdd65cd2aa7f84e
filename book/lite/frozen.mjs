// Python as it is once its packages are imported, in a file: its memory, and what belongs where. freeze.mjs makes it when the
// book is built; a page lays it back instead of running the imports again.
//
// Memory holds addresses: of the data of each compiled library, and of functions, by their place in one table. So a library
// comes back to where it was, and a function to its old place. Pyodide's loader asks for that: see PLACED in build.py.

const SITE = "/lib/python3.14/site-packages/", FILE = 0o100777; // a file that all may read, change and run

/** Go through the files of a tar archive; no name is longer than the header's two fields. */
export function* files(archive) {
  const decoder = new TextDecoder();
  const field = (at, length) => decoder.decode(archive.subarray(at, at + length)).split("\0", 1)[0];
  for (let at = 0; archive[at]; ) {
    const path = [field(at + 345, 155), field(at, 100)].filter(Boolean).join("/"), size = parseInt(field(at + 124, 12), 8);
    yield [path, archive.subarray(at + 512, at + 512 + size)];
    at += 512 * (1 + Math.ceil(size / 512));
  }
}

/** Lay the files of an archive into Python's file system; a path is looked up for each folder, not for each file. */
export function unpack(archive, FS) {
  const folders = new Map();
  for (const [path, data] of files(archive)) {
    const cut = path.lastIndexOf("/") + 1, name = SITE + path.slice(0, cut);
    if (!folders.has(name)) {
      FS.mkdirTree(name);
      folders.set(name, FS.lookupPath(name).node);
    }
    const folder = folders.get(name), file = folder.node_ops.mknod(folder, path.slice(cut), FILE, 0);
    file.contents = data;
    file.usedBytes = data.length;
  }
}

/** Where Python keeps the slot of a function that only some browsers can make: null stands for it in the table of the others. */
function trampoline(module) {
  const at = (module.__PyRuntime + module.HEAP32[module.__PyEM_EMSCRIPTEN_TRAMPOLINE_OFFSET >> 2]) >> 2;
  if (!module.HEAP32[at]) module.wasmTable.grow(1);
  return { at, slot: module.HEAP32[at] };
}

/** Return the function that makes Pyodide's module, and a list that each library joins as it is loaded, with its places. */
export function watched(create) {
  const libraries = [];
  const watching = (module) => {
    module.onRuntimeInitialized = () => {
      trampoline(module);
      libraries.push({ name: "__main__", table: 0, size: module.wasmTable.length });
      module.loaded = (library) => libraries.push(library);
    };
    return create(module);
  };
  return { libraries, create: watching };
}

/** Say what belongs where: for each library its data, its functions, and the handles by which Python knows it. */
export function places(module, libraries) {
  const { loadedLibsByName, loadedLibsByHandle } = module.LDSO, slots = new Map(), known = new Set();
  const within = (slot) => libraries.some(({ table, size }) => slot >= table && slot < table + size);
  for (let slot = 0; slot < module.wasmTable.length; slot++) {
    const f = module.wasmTable.get(slot);
    if (f && !within(slot)) slots.set(f, slot);
  }
  for (const library of libraries) {
    const exported = Object.entries(loadedLibsByName[library.name].exports).filter(([, f]) => slots.has(f) && !known.has(f));
    for (const [, f] of exported) known.add(f);
    library.functions = exported.map(([symbol, f]) => [symbol, slots.get(f)]);
    library.handles = Object.keys(loadedLibsByHandle).map(Number).filter((h) => h && loadedLibsByHandle[h].name === library.name);
  }
  if (known.size < slots.size) throw new Error(`${slots.size - known.size} functions in the table belong to no library`);
  const open = module.FS.streams.flatMap((stream, fd) => (stream && fd > 2 ? [{ fd, path: stream.path, position: stream.position }] : []));
  const objects = module.API.serializeHiwireState((value) => way(value, module.API));
  return { size: module.HEAPU8.length, table: module.wasmTable.length, libraries, open, objects };
}

/** The way to an object of Pyodide's JavaScript that Python knows; globals of JavaScript Pyodide itself keeps by name. */
function way(value, API) {
  if (value === API.public_api) return [];
  for (const [start, object] of [[[], API.public_api], [["_api"], API]]) {
    const name = Object.getOwnPropertyNames(object).find((each) => object[each] === value);
    if (name) return [...start, name];
  }
  throw new Error(`JavaScript's ${value} cannot be kept: freeze Python before it has it`);
}

/** Load Python as it was frozen, with the files of these archives. */
export async function thaw(load, create, options, frozen, archives) {
  let API;
  const making = async (module) => {
    await create(module);
    API = module.API;
    const [[, told], [, memory]] = files(await frozen), was = JSON.parse(new TextDecoder().decode(told));
    for (const archive of archives) unpack(await archive, module.FS);
    const { at, slot } = trampoline(module);
    settle(module, was);
    API.restoreSnapshot = () => {
      module.HEAPU8.set(memory);
      module.HEAP32[at] = slot;
      return was.objects;
    };
    return module;
  };
  const _snapshotDeserializer = (way) => way.reduce((object, name) => object[name], API.public_api);
  // an empty snapshot: the memory is laid back above, and WebAssembly is compiled while it comes
  return load({ ...options, createPyodideModule: making, _loadSnapshot: new Uint8Array(0), _snapshotDeserializer });
}

/** Bring libraries, functions and open files to their places. */
function settle(module, was) {
  const [main, ...libraries] = was.libraries, { loadedLibsByName, loadedLibsByHandle } = module.LDSO;
  if (module.wasmTable.length !== main.size) throw new Error("this browser has another table of functions than the frozen Python");
  if (was.size > module.HEAPU8.length) module.growMemory(was.size);
  module.wasmTable.grow(was.table - main.size);
  module.getFunctionAddress(module.wasmTable.get(1)); // which makes the list that `updateTableMap` adds to
  const put = (functions, exported) => {
    for (const [symbol, slot] of functions) {
      module.setWasmTableEntry(slot, exported[symbol]);
      module.updateTableMap(slot, 1);
    }
  };
  put(main.functions, loadedLibsByName[main.name].exports);
  const byName = new Map(libraries.map((library) => [library.name, library]));
  module.placed = (name) => ({ ...byName.get(name), put: (exported) => put(byName.get(name).functions, exported) });
  for (const { name, handles } of libraries) {
    module.loadDynamicLibrary(name, { global: false, nodelete: false, allowUndefined: true }, {});
    for (const handle of handles) loadedLibsByHandle[handle] = loadedLibsByName[name];
  }
  module.reportUndefinedSymbols(); // once, not for each library
  delete module.placed;
  if (module.wasmTable.length !== was.table) throw new Error("the libraries of the frozen Python have other functions here");
  for (const { fd, path, position } of was.open) {
    const stream = module.FS.open(path, 0);
    if (stream.fd !== fd) throw new Error(`${path} is open here as another file`);
    module.FS.llseek(stream, position, 0);
  }
}
