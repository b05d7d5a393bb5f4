"""The loops of the data floor that run over every pixel, each written twice under the same name.

`reference` and `augment_reference` are the definitions in plain NumPy; `compiled` and `augment_compiled` hold
Numba twins without the large temporary arrays. `GLASSNET_KERNELS=reference` in the environment selects the
definitions. Import this package inside the function that needs it: Numba takes 0.7 s to import.
"""

import os

if os.environ.get("GLASSNET_KERNELS", "compiled") == "reference":
    from glassnet.data.loops.augment_reference import *  # noqa: F403
    from glassnet.data.loops.reference import *  # noqa: F403
else:
    from glassnet.data.loops.augment_compiled import *  # noqa: F403
    from glassnet.data.loops.compiled import *  # noqa: F403

__all__ = [  # noqa: F405
    "adjust",
    "blend",
    "count_bytes",
    "cut",
    "move",
    "paste",
    "picture_properties",
    "similar_pairs",
    "turn",
]
