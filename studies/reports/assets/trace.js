// The page of one answer; an address that ends in #5 opens it at step 5.
const data = JSON.parse(document.getElementById("data").textContent);
stepping(document.querySelector(".stepping")).load(data, parseInt(location.hash.slice(1)) - 1 || 0);
