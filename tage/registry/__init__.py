"""Services and their instances, whatever they come from.

``model``   what the rest of the control plane sees: `Service`, `Instance`, `Registry`
``file``    a YAML file, watched: what `tage up` writes; also good for hosts without any registry
"""
