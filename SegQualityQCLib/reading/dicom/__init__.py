"""DICOM beyond single images: segmentations, contours and files with many frames."""
