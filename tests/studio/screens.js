// What a person would see at a screen, computed: WCAG 2.2 ratios, rings of the focus, sizes of targets, words, what is cut.
// Colours are as they are painted: what is half transparent lies on what is behind it.

{
  const channel = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r / 255) + .7152 * channel(g / 255) + .0722 * channel(b / 255);
  const ratio = (one, two) => {
    const [dark, bright] = [light(one), light(two)].sort((x, y) => x - y);
    return (bright + .05) / (dark + .05);
  };
  const parts = text => {
    const found = text.match(/[\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, at) => value * a + under[at] * (1 - a));
  const behind = item => {
    if (!item) return [255, 255, 255];
    const colour = parts(getComputedStyle(item).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(item.parentElement));
  };
  const all = selector => [...document.querySelectorAll(selector)].filter(item => item.checkVisibility());
  const name = item => `${item.tagName.toLowerCase()}#${item.id}.${item.className} ${item.textContent.trim().slice(0, 40)}`;
  const texts = () => {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const item = walk.currentNode.parentElement;
      if (walk.currentNode.textContent.trim() && item.checkVisibility() && !item.closest("script, option")) found.push([walk.currentNode.textContent, item]);
    }
    return found;
  };

  // Names, units and commands stay as they are; what is in another language says so by its lang.
  const ALLOWED = [
    /timbre|studio|git|main|https?:\S+|\S+@\S+|[\w.-]*\/[\w./-]*|metadata\.csv|GPT-SoVITS|LJSpeech|ZIP|dBFS|dB|LFS|revoke/gi,
    /nano|pico|ada example|ada|announcements of Example School|[0-9a-f]{8,}|voice\.yaml|approved_by/gi,
  ];

  window.screens = {
    texts() {
      const found = [];
      const look = (colour, item, style, what) => {
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const under = behind(item);
        const got = ratio(over(parts(colour), under), under);
        if (got < (large ? 3 : 4.5)) found.push(`${got.toFixed(2)} ${what}${name(item)}`);
      };
      for (const [, item] of texts()) {
        // What cannot be used may be pale.
        if (!item.closest("button:disabled")) look(getComputedStyle(item).color, item, getComputedStyle(item), "");
      }
      for (const item of all("input[placeholder]")) look(getComputedStyle(item, "::placeholder").color, item, getComputedStyle(item), "placeholder of ");
      return found;
    },

    edges() {
      const found = [];
      for (const item of all("button, select, input, label.button, .meter, .drop")) {
        if (item.disabled || item.type === "file" || item.type === "checkbox") continue;
        const around = behind(item.parentElement);
        const style = getComputedStyle(item);
        const edge = parseFloat(style.borderTopWidth) ? ratio(over(parts(style.borderTopColor), around), around) : 1;
        if (Math.max(edge, ratio(behind(item), around)) < 3) found.push(`${edge.toFixed(2)} ${name(item)}`);
      }
      return found;
    },

    stops: () => all("button, select, input, summary, a[href], audio[controls]").filter(item => !item.disabled).length,

    ring() {
      // Of what has the focus: null for nothing.
      let item = document.activeElement;
      if (!item || item === document.body) return null;
      const key = [...document.querySelectorAll("*")].indexOf(item);
      if (item.type === "file") item = item.closest("label");
      const style = getComputedStyle(item);
      const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
      const around = behind(item.parentElement);
      const got = ratio(over(parts(style.outlineColor), around), around);
      const box = item.getBoundingClientRect();
      const bar = document.querySelector("#meter-bar:not([hidden])")?.getBoundingClientRect();
      const covered = Boolean(bar?.height) && !item.closest(".meter-bar") && box.bottom > bar.top + 2 && box.top < bar.bottom;
      const outside = box.bottom <= 0 || box.top >= innerHeight;
      const why = `width ${width}, ratio ${got.toFixed(2)}${covered ? ", covered" : ""}${outside ? ", outside" : ""}`;
      return { key, name: name(item), good: width >= 2 && got >= 3 && !covered && !outside, why };
    },

    targets(phone) {
      // 24 pixels; 44 for what a thumb presses for every line.
      return all("button, select, input, summary, label.button").filter(item => item.type !== "file").map(item => {
        const box = (item.type === "checkbox" ? item.closest("label") : item).getBoundingClientRect();
        const least = phone && item.matches(".main, #line-next, #line-listen, [data-step]") ? 44 : 24;
        return Math.min(box.width, box.height) < least ? `${name(item)}: ${box.width} x ${box.height}` : "";
      }).filter(Boolean);
    },

    words() {
      const found = [];
      const look = (text, item) => {
        if (!item.closest("[lang]").lang.startsWith("zh") || !item.translate) return;
        if (/[a-z]{3}/i.test(ALLOWED.reduce((rest, allowed) => rest.replace(allowed, ""), text))) found.push(text.trim().slice(0, 100));
      };
      for (const [text, item] of texts()) look(text, item);
      for (const key of ["aria-label", "placeholder", "title"]) {
        // A player's label holds the sentence that it plays.
        for (const item of all(`[${key}]:not(audio)`)) look(item.getAttribute(key), item);
      }
      return found;
    },

    cut() {
      return all("button, label, h1, h2, h3, h4, p, summary, .tag, .count")
        .filter(item => getComputedStyle(item).display !== "inline" && item.scrollWidth > item.clientWidth + 1).map(name);
    },
  };
}
