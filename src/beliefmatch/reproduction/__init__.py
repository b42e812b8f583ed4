"""The experiments of Micaelli & Storkey 2019 at any budget, set beside what others found."""
