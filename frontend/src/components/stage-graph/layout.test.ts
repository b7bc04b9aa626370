import { describe, expect, it } from 'vitest'
import {
  edgePath,
  type LayoutInput,
  layersOf,
  layoutGraph,
  NODE_HEIGHT,
} from '@/components/stage-graph/layout'

const diamond: LayoutInput[] = [
  { id: 'a', needs: [] },
  { id: 'b', needs: ['a'] },
  { id: 'c', needs: ['a'] },
  { id: 'd', needs: ['b', 'c'] },
]

describe('layersOf', () => {
  it('puts a stage behind the longest way to it', () => {
    const layers = layersOf([...diamond, { id: 'e', needs: ['a', 'd'] }])
    expect(Object.fromEntries(layers)).toEqual({ a: 0, b: 1, c: 1, d: 2, e: 3 })
  })

  it('ends on a cycle and on a need that does not exist', () => {
    const layers = layersOf([
      { id: 'a', needs: ['b', 'gone'] },
      { id: 'b', needs: ['a'] },
    ])
    expect(layers.size).toBe(2)
  })
})

describe('layoutGraph', () => {
  it('keeps a chain straight', () => {
    const { nodes, edges } = layoutGraph([
      { id: 'a', needs: [] },
      { id: 'b', needs: ['a'] },
      { id: 'c', needs: ['b'] },
    ])
    expect(new Set([...nodes.values()].map((node) => node.y)).size).toBe(1)
    expect(edges.every(({ points }) => new Set(points.map(({ y }) => y)).size === 1)).toBe(true)
  })

  it('centres a split and its join on the branches', () => {
    const { nodes } = layoutGraph(diamond)
    const middle = ((nodes.get('b')?.y ?? 0) + (nodes.get('c')?.y ?? 0)) / 2
    expect(nodes.get('a')?.y).toBeCloseTo(middle)
    expect(nodes.get('d')?.y).toBeCloseTo(middle)
  })

  it('orders two chains that were written crosswise so that they do not cross', () => {
    const { nodes } = layoutGraph([
      { id: 'a1', needs: [] },
      { id: 'b1', needs: [] },
      { id: 'b2', needs: ['b1'] },
      { id: 'a2', needs: ['a1'] },
    ])
    const below = (left: string, right: string) =>
      (nodes.get(left)?.y ?? 0) < (nodes.get(right)?.y ?? 0)
    expect(below('a1', 'b1')).toBe(below('a2', 'b2'))
  })

  it('leads an edge over a layer past the boxes in it', () => {
    const { nodes, edges } = layoutGraph([
      { id: 'a', needs: [] },
      { id: 'b', needs: ['a'] },
      { id: 'c', needs: ['a', 'b'] },
    ])
    const b = nodes.get('b')
    const around = edges.find(({ from, to }) => from === 'a' && to === 'c')
    const bend = around?.points[1]
    expect(around?.points).toHaveLength(4)
    const clear = (bend?.y ?? 0) < (b?.y ?? 0) || (bend?.y ?? 0) > (b?.y ?? 0) + NODE_HEIGHT
    expect(clear).toBe(true)
  })

  it('spreads a layer of many stages over several columns', () => {
    const parts = Array.from({ length: 990 }, (_, i) => ({ id: `part${i}`, needs: ['plan'] }))
    const merge = { id: 'merge', needs: parts.map(({ id }) => id) }
    const { nodes, width, height } = layoutGraph([{ id: 'plan', needs: [] }, ...parts, merge])
    const last = Math.max(...parts.map(({ id }) => nodes.get(id)?.x ?? 0))
    expect(nodes.get('merge')?.x).toBeGreaterThan(last)
    expect(height).toBeLessThan(width)
  })

  it.each([200, 1000])('never overlaps boxes, with %i stages', (count) => {
    const input: LayoutInput[] = Array.from({ length: count }, (_, i) => ({
      id: `s${i}`,
      needs: i < 10 ? [] : [`s${Math.floor(i / 2)}`, `s${(i * 7) % i}`],
    }))
    const { nodes } = layoutGraph(input)
    const byLayer = Map.groupBy(nodes.values(), (node) => node.layer)
    for (const layer of byLayer.values()) {
      const tops = layer.map(({ y }) => y).toSorted((a, b) => a - b)
      const gaps = tops.slice(1).map((top, above) => top - (tops[above] ?? 0))
      expect(Math.min(NODE_HEIGHT, ...gaps)).toBe(NODE_HEIGHT)
    }
    expect(nodes.size).toBe(count)
  })
})

describe('edgePath', () => {
  it('is a straight line at one height and a curve otherwise', () => {
    expect(
      edgePath([
        { x: 0, y: 5 },
        { x: 40, y: 5 },
      ]),
    ).toBe('M0 5H40')
    expect(
      edgePath([
        { x: 0, y: 0 },
        { x: 40, y: 10 },
      ]),
    ).toBe('M0 0C20 0 20 10 40 10')
  })
})
