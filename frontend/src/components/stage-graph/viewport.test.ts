import { describe, expect, it } from 'vitest'
import { layoutGraph } from '@/components/stage-graph/layout'
import { neighbour } from '@/components/stage-graph/navigate'
import {
  fit,
  initialView,
  isNodeIn,
  reveal,
  visibleBox,
  zoom,
} from '@/components/stage-graph/viewport'

const small = layoutGraph([
  { id: 'a', needs: [] },
  { id: 'b', needs: ['a'] },
  { id: 'c', needs: ['a'] },
])
const wide = layoutGraph(
  Array.from({ length: 300 }, (_, i) => ({ id: `s${i}`, needs: i > 0 ? [`s${i - 1}`] : [] })),
)
const frame = { width: 600, height: 300 }

describe('the first view', () => {
  it('shows a small graph whole, never enlarged', () => {
    const view = initialView(small, frame, undefined)
    expect(view).toEqual(fit(small, frame))
    expect(view.scale).toBe(1)
  })

  it('keeps a large graph readable and puts the failure in the middle', () => {
    const failed = wide.nodes.get('s150')
    const view = initialView(wide, frame, failed)
    expect(view.scale).toBeGreaterThan(0.6)
    expect(view.x + (failed?.x ?? 0) * view.scale).toBeGreaterThan(0)
    expect(view.x + (failed?.x ?? 0) * view.scale).toBeLessThan(frame.width)
  })
})

it('draws only what the frame shows', () => {
  const box = visibleBox(initialView(wide, frame, wide.nodes.get('s150')), frame)
  const drawn = [...wide.nodes.values()].filter((node) => isNodeIn(box, node))
  expect(drawn.length).toBeGreaterThan(2)
  expect(drawn.length).toBeLessThan(15)
})

it('zooms around the pointer', () => {
  const before = { x: 10, y: 20, scale: 1 }
  const after = zoom(before, 1.25, { x: 110, y: 70 })
  expect((110 - after.x) / after.scale).toBeCloseTo(100)
  expect((70 - after.y) / after.scale).toBeCloseTo(50)
})

it('moves only when a node is not in sight', () => {
  const view = initialView(wide, frame, wide.nodes.get('s0'))
  const near = wide.nodes.get('s0')
  const far = wide.nodes.get('s200')
  if (!near || !far) throw new Error('missing node')
  expect(reveal(view, frame, near)).toEqual(view)
  expect(isNodeIn(visibleBox(reveal(view, frame, far), frame), far)).toBe(true)
})

it('walks along edges and within a layer', () => {
  const [upper, lower] = ['b', 'c'].toSorted(
    (left, right) => (small.nodes.get(left)?.y ?? 0) - (small.nodes.get(right)?.y ?? 0),
  )
  expect(neighbour(small, 'b', 'left')).toBe('a')
  expect(['b', 'c']).toContain(neighbour(small, 'a', 'right'))
  expect(neighbour(small, upper ?? '', 'down')).toBe(lower)
  expect(neighbour(small, 'a', 'left')).toBeNull()
})
