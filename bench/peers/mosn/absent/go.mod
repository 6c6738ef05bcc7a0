// Stands for a module that is not to be had and not needed.
module absent
