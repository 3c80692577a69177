"""Model + patient -> maps of what the model looked at."""

from neoresponse.explain.gradcam import grad_cam
from neoresponse.explain.maps import overlay

__all__ = ["grad_cam", "overlay"]
