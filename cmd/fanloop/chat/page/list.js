// The virtual list: shows the rows around the viewport, and keeps the line that
// the reader looks at where it is, whatever is added, removed or grows.

const overscan = 800; // pixels shown above and below the viewport
const near = 48; // closer to the end than this means "at the end"

export class List {
  /** Whether the end is followed. Changed by the reader's scrolling alone. */
  following = true;
  #held = false; // the reader has something in the hand: nothing is moved away
  onTop = () => {};
  onScroll = () => {};
  #view;
  #content = document.createElement("div");
  #above = document.createElement("div");
  #below = document.createElement("div");
  #render;
  #rows = [];
  #index = new Map();
  #heights = new Map(); // key -> measured height
  #sizes = new Float64Array(0); // of the rows: measured, or estimated
  #tops = new Float64Array(1);
  #shown = new Map(); // key -> {element, row}
  #frame = 0;
  #last = null; // the anchor as it was after the last scroll or change
  #height = 0; // of the viewport
  #expected = -1; // the scroll position that the list itself set
  #observer = new ResizeObserver(() => this.#settle());

  /**
   * @param {HTMLElement} view what scrolls
   * @param {(row: object, old: HTMLElement | null) => HTMLElement} render
   */
  constructor(view, render) {
    this.#view = view;
    this.#render = render;
    this.#content.append(this.#above, this.#below);
    view.append(this.#content);
    view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#observer.observe(view);
  }

  get rows() {
    return this.#rows;
  }

  /** Whether the end is shown, and what comes next will be. */
  get follows() {
    return this.following && !this.#held;
  }

  /** Keeps what is shown where it is, as long as the reader selects it or reads it by keys. */
  hold(on) {
    if (on === this.#held) return;
    this.#held = on;
    if (this.follows) this.#draw(null);
  }

  /** Shows other rows. Row: {key, type, version}. */
  update(rows) {
    const anchor = this.#anchor();
    const old = this.#rows;
    let same = 0; // rows at the front that have not changed
    while (same < rows.length && rows[same] === old[same]) same++;
    for (let i = same; i < old.length; i++) this.#index.delete(old[i].key);
    for (let i = same; i < rows.length; i++) this.#index.set(rows[i].key, i);
    this.#rows = rows;
    this.#measure(same);
    this.#draw(anchor);
  }

  /** Shows another room: nothing of the old one is kept. */
  replace(rows) {
    this.#heights.clear();
    for (const { element } of this.#shown.values()) this.#drop(element);
    this.#shown.clear();
    this.following = true;
    this.#held = false;
    this.update(rows);
  }

  toEnd() {
    this.following = true;
    this.#held = false;
    this.#draw(null);
  }

  /** Scrolls as far as it takes to show a row, and returns its element. */
  reveal(key, at = "nearest") {
    const i = this.#index.get(key);
    if (i === undefined) return null;
    const height = this.#view.clientHeight;
    const top = this.#tops[i] - this.#view.scrollTop;
    const bottom = this.#tops[i + 1] - this.#view.scrollTop;
    if (at === "start" || top < 0 || bottom > height) {
      this.following = false;
      const y = at === "start" ? height / 4 : top < 0 ? 8 + bottom - top : height - 8;
      this.#draw({ key, y });
    }
    return this.#shown.get(key)?.element ?? null;
  }

  element(key) {
    return this.#shown.get(key)?.element ?? null;
  }

  get distance() {
    return this.#view.scrollHeight - this.#view.clientHeight - this.#view.scrollTop;
  }

  // The first message in the viewport, and where it ends. Its end, since a page
  // in front may take its author's name away; a message, since days and dividers
  // come and go.
  #anchor(always = false) {
    if (this.follows && !always) return null; // the end is where it is
    const top = this.#view.getBoundingClientRect().top;
    let other = null;
    for (const [key, { element, row }] of this.#shown) {
      const { bottom } = element.getBoundingClientRect();
      if (bottom <= top + 1) continue;
      if (row.type === "message") return { key, y: bottom - top };
      other ??= { key, y: bottom - top };
    }
    return other;
  }

  #estimate(row) {
    if (row.type !== "message") return 44;
    const { text, reactions } = row.message;
    return (row.first ? 46 : 24) + 22 * Math.floor(text.length / 90) + (reactions.size ? 30 : 0);
  }

  // Takes the heights of rows: measured ones, and estimates of the others.
  #measure(from) {
    const n = this.#rows.length;
    if (this.#sizes.length < n) {
      this.#sizes = new Float64Array(n * 2 + 16);
      this.#tops = new Float64Array(n * 2 + 17);
      from = 0;
    }
    for (let i = from; i < n; i++) this.#sizes[i] = this.#heights.get(this.#rows[i].key) ?? this.#estimate(this.#rows[i]);
    this.#sum(from);
  }

  #sum(from) {
    const n = this.#rows.length;
    for (let i = from; i < n; i++) this.#tops[i + 1] = this.#tops[i] + this.#sizes[i];
  }

  // Draws until the rows on the screen are where they belong: rows that are
  // drawn for the first time are not as high as was thought.
  #draw(anchor) {
    for (let round = 0; round < 4; round++) {
      const n = this.#rows.length;
      const height = this.#view.clientHeight;
      const total = this.#tops[n];
      let top = this.#view.scrollTop;
      if (anchor && this.#index.has(anchor.key)) top = this.#tops[this.#index.get(anchor.key) + 1] - anchor.y;
      else if (this.follows) top = Math.max(0, total - height);
      const from = this.#at(top - overscan);
      const to = Math.min(n, this.#at(top + height + overscan) + 1);
      this.#show(from, to);
      this.#above.style.height = `${this.#tops[from]}px`;
      this.#below.style.height = `${total - this.#tops[to]}px`;
      const changed = this.#remeasure();
      this.#place(anchor);
      if (!changed) break;
    }
  }

  #place(anchor) {
    const view = this.#view;
    const element = this.#shown.get(anchor?.key)?.element;
    if (element) {
      const off = element.getBoundingClientRect().bottom - view.getBoundingClientRect().top - anchor.y;
      if (Math.abs(off) >= 0.5) view.scrollTop += off;
    } else if (this.follows) view.scrollTop = view.scrollHeight;
    this.#expected = view.scrollTop;
    this.#last = this.#anchor();
  }

  #show(from, to) {
    const wanted = new Set();
    for (let i = from; i < to; i++) wanted.add(this.#rows[i].key);
    for (const [key, { element }] of this.#shown) {
      if (wanted.has(key)) continue;
      this.#drop(element);
      this.#shown.delete(key);
    }
    let next = this.#above.nextSibling;
    const shown = new Map(); // in the order of the rows
    for (let i = from; i < to; i++) {
      const row = this.#rows[i];
      let known = this.#shown.get(row.key);
      if (known?.row.version !== row.version || !known) {
        const element = this.#render(row, known?.element ?? null);
        if (!known) this.#observer.observe(element);
        known = { element, row };
      }
      known.row = row;
      if (known.place !== i + 1) known.element.ariaPosInSet = String((known.place = i + 1));
      shown.set(row.key, known);
      if (known.element === next) next = next.nextSibling;
      else this.#content.insertBefore(known.element, next);
    }
    this.#shown = shown;
  }

  #drop(element) {
    if (element.contains(document.activeElement)) this.#view.focus({ preventScroll: true });
    this.#observer.unobserve(element);
    element.remove();
  }

  // Takes the heights of the rows that are shown. Says whether one changed.
  #remeasure() {
    let first = Infinity;
    for (const [key, { element }] of this.#shown) {
      const height = element.getBoundingClientRect().height;
      if (Math.abs((this.#heights.get(key) ?? -1) - height) < 0.25) continue;
      const i = this.#index.get(key);
      this.#heights.set(key, height);
      this.#sizes[i] = height;
      first = Math.min(first, i);
    }
    if (first < Infinity) this.#sum(first);
    return first < Infinity;
  }

  // The row at a height.
  #at(y) {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, Math.max(0, this.#rows.length - 1));
  }

  // A row or the viewport changed its size: what was at the top stays there.
  #settle() {
    const height = this.#view.clientHeight;
    if (!this.#remeasure() && height === this.#height) return;
    this.#height = height;
    this.#draw(this.#last);
  }

  #scrolled() {
    const top = this.#view.scrollTop;
    const byReader = Math.abs(top - this.#expected) > 1;
    if (byReader) {
      this.#expected = top;
      this.following = this.distance < near;
    }
    this.#last = this.#anchor();
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      this.#draw(this.#anchor(byReader)); // near the end, nothing moves until something comes
      if (this.#view.scrollTop < 600) this.onTop();
      this.onScroll();
    });
  }
}
