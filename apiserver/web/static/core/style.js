// Loads the style sheets of views.

/** Those of the document are loaded before the modules run. @type {Map<string, Promise<void>>} */
const loaded = new Map(sheets().map((name) => [name, Promise.resolve()]));

/**
 * Loads `style/<name>.css` once; resolves when it applies.
 * @param {string} name
 */
export function loadStyle(name) {
  let promise = loaded.get(name);
  if (!promise) {
    promise = new Promise((resolve, reject) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL(`../style/${name}.css`, import.meta.url).href;
      link.onload = () => resolve();
      link.onerror = () => reject(new Error(`the style sheet ${name}.css could not be loaded`));
      document.head.append(link);
    });
    loaded.set(name, promise);
  }
  return promise;
}

function sheets() {
  return [...document.querySelectorAll("link[data-styles]")].flatMap((link) => /** @type {HTMLElement} */ (link).dataset.styles?.split(" ") ?? []);
}
