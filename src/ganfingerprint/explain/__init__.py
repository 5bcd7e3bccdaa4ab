"""Where in the picture the evidence lies: Grad-CAM, attention maps, occlusion, and the pictures that show them."""
