// Sets the chosen theme before anything is drawn, so that a dark page never flashes white.
const chosenTheme = localStorage.getItem("penstock-theme");
if (chosenTheme === "light" || chosenTheme === "dark") document.documentElement.dataset.theme = chosenTheme;
