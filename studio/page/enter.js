// The key of a person, in a body: addresses are kept by browsers and written to logs.

document.getElementById("enter").addEventListener("submit", async event => {
  event.preventDefault();
  const { key } = event.target.elements;
  const answer = await fetch("/enter", { method: "POST", headers: { "x-timbre-studio": "1" }, body: key.value }).catch(() => null);
  if (answer?.ok) { location.assign("/"); return; }
  document.getElementById("wrong").hidden = false;
  key.select();
});
