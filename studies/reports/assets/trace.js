// The page of one answer; an address that ends in #5 opens it at step 5.
const data = JSON.parse(document.getElementById("data").textContent);
const view = stepping(document.querySelector(".stepping"));
view.load(data, parseInt(location.hash.slice(1)) - 1 || 0);
// The slider has its own keys; elsewhere the arrows do the same.
document.addEventListener("keydown", (event) => {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!by || event.target.matches("input") || event.ctrlKey || event.altKey || event.metaKey) return;
  view.move(by);
});
