import type { Layout } from '@/components/stage-graph/layout'

export type Direction = 'left' | 'right' | 'up' | 'down'

const KEYS: Record<string, Direction> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
}

export function directionOf(key: string): Direction | null {
  return KEYS[key] ?? null
}

/** Where an arrow key leads: along an edge to the left and right, within the layer up and down. */
export function neighbour(layout: Layout, id: string, direction: Direction): string | null {
  const node = layout.nodes.get(id)
  if (!node) return null
  const candidates =
    direction === 'left'
      ? layout.edges.filter((edge) => edge.to === id).map((edge) => edge.from)
      : direction === 'right'
        ? layout.edges.filter((edge) => edge.from === id).map((edge) => edge.to)
        : [...layout.nodes.values()]
            .filter((other) => other.layer === node.layer)
            .filter((other) => (direction === 'up' ? other.y < node.y : other.y > node.y))
            .map((other) => other.id)
  const distance = (other: string) => Math.abs((layout.nodes.get(other)?.y ?? 0) - node.y)
  return candidates.toSorted((a, b) => distance(a) - distance(b))[0] ?? null
}
