// Pillow's bilinear resize, to the last bit: weights with 22 bits, one pass across and one down, each rounded to 8 bits.
package edgekit.sample

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.max
import kotlin.math.min

enum class Resize { STRETCH, CROP, PAD }

private const val PRECISION_BITS = 22

/** RGB with 8 bits per channel: height * width * 3 bytes, rows from top to bottom. */
class Image(val width: Int, val height: Int, val pixels: ByteArray) {

    fun resized(newWidth: Int, newHeight: Int, how: Resize): Image {
        val excess = width.toLong() * newHeight - height.toLong() * newWidth
        if (excess == 0L || how == Resize.STRETCH) {
            return part(newWidth, newHeight, 0f, 0f, width.toFloat(), height.toFloat())
        }
        if (how == Resize.CROP) {
            val boxWidth = if (excess > 0) height.toDouble() * newWidth / newHeight else width.toDouble()
            val boxHeight = if (excess < 0) width.toDouble() * newHeight / newWidth else height.toDouble()
            val left = (width - boxWidth) / 2
            val top = (height - boxHeight) / 2
            return part(
                newWidth, newHeight, left.toFloat(), top.toFloat(),
                (left + boxWidth).toFloat(), (top + boxHeight).toFloat()
            )
        }
        val innerWidth = if (excess > 0) newWidth else max(1, rounded(width.toDouble() * newHeight / height))
        val innerHeight = if (excess < 0) newHeight else max(1, rounded(height.toDouble() * newWidth / width))
        val inner = part(innerWidth, innerHeight, 0f, 0f, width.toFloat(), height.toFloat())
        val found = Image(newWidth, newHeight, ByteArray(3 * newWidth * newHeight))
        val left = (newWidth - innerWidth) / 2
        val top = (newHeight - innerHeight) / 2
        for (y in 0 until innerHeight) {
            System.arraycopy(
                inner.pixels, 3 * y * innerWidth, found.pixels, 3 * ((top + y) * newWidth + left), 3 * innerWidth
            )
        }
        return found
    }

    private fun part(newWidth: Int, newHeight: Int, left: Float, top: Float, right: Float, bottom: Float): Image {
        val isAcross = left != 0f || right != newWidth.toFloat() || width != newWidth
        val isDown = top != 0f || bottom != newHeight.toFloat() || height != newHeight
        val rows = Coefficients(height, top, bottom, newHeight)
        val first = rows.starts[0]
        val last = rows.starts[newHeight - 1] + rows.counts[newHeight - 1]
        val columns = Coefficients(width, left, right, newWidth)
        return when {
            isAcross && isDown && startsDown(newWidth, newHeight) -> down(0, rows).across(0, newHeight, columns)
            isAcross && isDown -> across(first, last, columns).down(first, rows)
            isAcross -> across(first, last, columns)
            isDown -> down(0, rows)
            else -> this
        }
    }

    /** Each pass rounds, so their order matters. Since version 13, Pillow does not always start across. */
    private fun startsDown(newWidth: Int, newHeight: Int) =
        PILLOW >= 13 && newHeight < height && height - newHeight > 2 * (width - newWidth)

    private fun across(first: Int, last: Int, columns: Coefficients): Image {
        val found = ByteArray(3 * (last - first) * columns.size)
        var to = 0
        for (y in first until last) {
            for (place in 0 until columns.size) {
                val from = 3 * (y * width + columns.starts[place])
                for (channel in 0 until 3) {
                    var sum = 1 shl (PRECISION_BITS - 1)
                    for (x in 0 until columns.counts[place]) {
                        sum += (pixels[from + 3 * x + channel].toInt() and 255) * columns.weight(place, x)
                    }
                    found[to++] = clipped(sum)
                }
            }
        }
        return Image(columns.size, last - first, found)
    }

    private fun down(offset: Int, rows: Coefficients): Image {
        val stride = 3 * width
        val found = ByteArray(stride * rows.size)
        for (place in 0 until rows.size) {
            val from = (rows.starts[place] - offset) * stride
            for (x in 0 until stride) {
                var sum = 1 shl (PRECISION_BITS - 1)
                for (y in 0 until rows.counts[place]) {
                    sum += (pixels[from + y * stride + x].toInt() and 255) * rows.weight(place, y)
                }
                found[place * stride + x] = clipped(sum)
            }
        }
        return Image(width, rows.size, found)
    }
}

private class Coefficients(source: Int, from: Float, to: Float, val size: Int) {
    private val scale = (to - from).toDouble() / size // the difference in single precision
    private val filter = max(scale, 1.0)
    private val most = ceil(filter).toInt() * 2 + 1
    private val weights = IntArray(size * most)
    val starts = IntArray(size)
    val counts = IntArray(size)

    init {
        val row = DoubleArray(most)
        for (place in 0 until size) {
            val centre = from + (place + 0.5) * scale
            val start = max(0, (centre - filter + 0.5).toInt())
            val count = min(source, (centre + filter + 0.5).toInt()) - start
            var sum = 0.0
            for (x in 0 until count) {
                row[x] = max(0.0, 1 - abs((x + start - centre + 0.5) * (1 / filter)))
                sum += row[x]
            }
            for (x in 0 until count) {
                val weight = if (sum != 0.0) row[x] / sum else row[x]
                weights[place * most + x] = (0.5 + weight * (1 shl PRECISION_BITS)).toInt()
            }
            starts[place] = start
            counts[place] = count
        }
    }

    fun weight(place: Int, number: Int) = weights[place * most + number]
}

private fun clipped(sum: Int): Byte = min(255, max(0, sum shr PRECISION_BITS)).toByte()

/** Halves go to the even number. */
private fun rounded(value: Double): Int = Math.rint(value).toInt()
