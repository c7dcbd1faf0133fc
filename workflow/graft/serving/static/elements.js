// Elements of a page. Names of classes and files are texts, never markup.

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// A name, whatever the direction of its letters.
export function named(text) {
  return make("bdi", {}, text);
}

export function percent(share) {
  return share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
}

export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export const PARTS = {
  train: "training", valid: "validation", test: "test", out: "in no part",
  undivided: "not divided yet", decided: "decided by hand",
};

export function sayPart(part) {
  return PARTS[part] || part || PARTS.undivided;
}

export function address(kind, picture, version) {
  return `/${kind}/${picture.id}?v=${version}`;
}

// The present label, or what a person has decided.
export function sayLabel(picture) {
  if (picture.decided !== null) return picture.decided || "left out";
  return picture.labels.length ? picture.labels.join(" and ") : "left out";
}

// A picture of few pixels is enlarged pixel by pixel.
export function sharpen(image) {
  image.addEventListener("load", () => {
    image.classList.toggle("enlarged", Math.max(image.naturalWidth, image.naturalHeight) <= 64);
  });
}

export function listNear(list, near, version, label) {
  list.replaceChildren(...near.map((one) => {
    const image = make("img", { src: address("small", one, version), alt: "", loading: "lazy" });
    sharpen(image);
    const name = make("span", {}, named(sayLabel(one)));
    name.className = label !== undefined && sayLabel(one) !== label ? "other" : "";
    return make("li", { title: one.path }, image, name);
  }));
}

export function fillClasses(classes) {
  const options = classes.map((one) => make("option", { value: one.name }));
  document.getElementById("classes").replaceChildren(...options);
}
