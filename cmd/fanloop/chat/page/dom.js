// Elements. Text goes in as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** Makes an element: el("span.time", {title}, "12:00", child...). */
export function el(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const paths = {
  edit: "M4 16l.8-3.4 8.4-8.4a1.6 1.6 0 0 1 2.4 0l.2.2a1.6 1.6 0 0 1 0 2.4L7.4 15.2 4 16z",
  quote: "M8 5 3.500 9.500 8 14M3.500 9.500H12a4.500 4.500 0 0 1 4.500 4.500v1",
  unread: "M3.5 6.5l6.5 5 6.5-5M3.5 5h13v10h-13z",
  more: "M10 17a7 7 0 1 1 0-14M14.500 3v5M12 5.500h5M7.500 11.500s.8 1.500 2.500 1.500 2.500-1.500 2.500-1.500M7.500 8.300h.01M12 8.300h.01",
  quiet: "M8 5.200A3.800 3.800 0 0 1 13.800 9v3.200L15 14H5l1.200-1.800V9M3.500 3.500l13 13M8.600 16.500h2.800",
  remove: "M4.5 6h11M8 6V4.4h4V6M6 6l.6 9.6h6.8L14 6",
};

export function icon(name, className = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}
