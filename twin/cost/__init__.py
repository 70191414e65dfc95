"""What a stage costs, read from its synthesized templates and a dated table of list prices."""
