import {
  type Layout,
  type LayoutNode,
  NODE_HEIGHT,
  NODE_WIDTH,
} from '@/components/stage-graph/layout'

/** Drawing coordinates times `scale` plus `x`, `y` are pixels of the frame. */
export type View = { x: number; y: number; scale: number }
export type Frame = { width: number; height: number }

export const MARGIN = 14
const SMALLEST_SCALE = 0.04
const LARGEST_SCALE = 1.5
/** Labels can still be read at this scale. */
const READABLE_SCALE = 0.7
/** Below this, boxes are drawn as coloured marks without text. */
export const DETAIL_SCALE = 0.4
/** What is drawn beyond the frame's edge, in pixels, so that panning does not show empty space first. */
const OVERSCAN = 120

export function fit(layout: Layout, frame: Frame): View {
  const scale = clampScale(
    Math.min(
      1,
      (frame.width - 2 * MARGIN) / layout.width,
      (frame.height - 2 * MARGIN) / layout.height,
    ),
  )
  return center(layout, frame, scale)
}

/** The whole drawing while its labels can be read; otherwise a readable part with `focus` in the middle. */
export function initialView(layout: Layout, frame: Frame, focus: LayoutNode | undefined): View {
  const whole = fit(layout, frame)
  if (whole.scale >= READABLE_SCALE) return whole
  const scale = 0.85
  if (!focus)
    return { x: MARGIN, y: Math.min(MARGIN, (frame.height - layout.height * scale) / 2), scale }
  return {
    x: frame.width / 2 - (focus.x + NODE_WIDTH / 2) * scale,
    y: frame.height / 2 - (focus.y + NODE_HEIGHT / 2) * scale,
    scale,
  }
}

function center(layout: Layout, frame: Frame, scale: number): View {
  return {
    x: (frame.width - layout.width * scale) / 2,
    y: (frame.height - layout.height * scale) / 2,
    scale,
  }
}

function clampScale(scale: number): number {
  return Math.min(LARGEST_SCALE, Math.max(SMALLEST_SCALE, scale))
}

/** Zoom by `factor`, keeping the point `at` of the frame where it is. */
export function zoom(view: View, factor: number, at: { x: number; y: number }): View {
  const scale = clampScale(view.scale * factor)
  const ratio = scale / view.scale
  return { x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio, scale }
}

/** Move as little as needed to show the node whole. */
export function reveal(view: View, frame: Frame, node: LayoutNode): View {
  const shift = (start: number, length: number, room: number) =>
    Math.max(0, MARGIN - start) - Math.max(0, start + length - (room - MARGIN))
  return {
    ...view,
    x: view.x + shift(view.x + node.x * view.scale, NODE_WIDTH * view.scale, frame.width),
    y: view.y + shift(view.y + node.y * view.scale, NODE_HEIGHT * view.scale, frame.height),
  }
}

type Box = { left: number; right: number; top: number; bottom: number }

/** The part of the drawing that the frame shows, and a little more. */
export function visibleBox(view: View, frame: Frame): Box {
  return {
    left: (-view.x - OVERSCAN) / view.scale,
    right: (frame.width - view.x + OVERSCAN) / view.scale,
    top: (-view.y - OVERSCAN) / view.scale,
    bottom: (frame.height - view.y + OVERSCAN) / view.scale,
  }
}

export function isNodeIn(box: Box, node: LayoutNode): boolean {
  return (
    node.x + NODE_WIDTH >= box.left &&
    node.x <= box.right &&
    node.y + NODE_HEIGHT >= box.top &&
    node.y <= box.bottom
  )
}

/** By its bounding box, which is enough for culling. */
export function isEdgeIn(box: Box, points: readonly { x: number; y: number }[]): boolean {
  let left = Number.POSITIVE_INFINITY
  let right = Number.NEGATIVE_INFINITY
  let top = Number.POSITIVE_INFINITY
  let bottom = Number.NEGATIVE_INFINITY
  for (const { x, y } of points) {
    left = Math.min(left, x)
    right = Math.max(right, x)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
  }
  return right >= box.left && left <= box.right && bottom >= box.top && top <= box.bottom
}

/** As high as the drawing needs at the frame's width, within limits. */
export function frameHeight(
  layout: Layout,
  width: number,
  limits: { min: number; max: number },
): number {
  const scale = Math.max(
    READABLE_SCALE,
    Math.min(1, (width - 2 * MARGIN) / Math.max(1, layout.width)),
  )
  return Math.min(limits.max, Math.max(limits.min, layout.height * scale + 2 * MARGIN))
}
