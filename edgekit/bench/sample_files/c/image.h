/* Images with 8 bits per channel, RGB, rows from top to bottom without gaps. */
#ifndef IMAGE_H
#define IMAGE_H

typedef struct {
    int width, height;
    unsigned char *pixels; /* height * width * 3, from malloc */
} Image;

enum { STRETCH, CROP, PAD };

/* Decode a JPEG or PNG file, turned upright by its EXIF orientation, transparent pixels on white. A JPEG may be decoded
 * at 1/2, 1/4 or 1/8 of its size, but not below `enough` pixels in both directions. Ends the program on an error. */
Image read_image(const char *path, int enough);

/* The image in the size of the model, as Pillow resizes it (bilinear, with antialiasing), to the last bit. */
Image resized_image(const Image *image, int width, int height, int how);

/* Print a message and end the program with exit code 1. */
void fail(const char *path, const char *reason);

#endif
