import { describe, expect, it } from 'vitest'
import {
  combinedStatus,
  describeCounts,
  type GraphNode,
  groupNodes,
} from '@/components/stage-graph/model'
import type { Status } from '@/lib/status'

function node(id: string, needs: string[] = [], status: Status | null = null): GraphNode {
  return { id, label: id, needs, status, caption: '' }
}

const none: ReadonlySet<string> = new Set()

describe('combinedStatus', () => {
  it('lets one failure outweigh any number of successes', () => {
    expect(combinedStatus(['success', 'failed', 'success'])).toBe('failed')
    expect(combinedStatus(['success', 'running'])).toBe('running')
    expect(combinedStatus([])).toBeNull()
  })
})

describe('describeCounts', () => {
  it('counts each state, the weightiest first', () => {
    expect(describeCounts(['success', 'success', 'failed'])).toBe('1 failed, 2 succeeded')
  })
})

describe('groupNodes', () => {
  const parts = Array.from({ length: 5 }, (_, i) =>
    node(`part_${i}`, ['plan'], i === 3 ? 'failed' : 'success'),
  )
  const wide = [
    node('plan'),
    ...parts,
    node(
      'merge',
      parts.map(({ id }) => id),
    ),
  ]

  it('draws a family of stages as one box that stands for them', () => {
    const grouped = groupNodes(wide, none)
    const group = grouped.find(({ label }) => label === 'part_*')
    expect(grouped.map(({ label }) => label)).toEqual(['plan', 'part_*', 'merge'])
    expect(group).toMatchObject({
      status: 'failed',
      caption: '1 failed, 4 succeeded',
      needs: ['plan'],
    })
    expect(grouped.find(({ id }) => id === 'merge')?.needs).toEqual([group?.id])
  })

  it('shows an opened group in full', () => {
    const [, group] = groupNodes(wide, none)
    expect(groupNodes(wide, new Set([group?.id ?? '']))).toHaveLength(wide.length)
  })

  it('does not group across layers, which could make a cycle', () => {
    const chain = [node('step_1'), node('step_2', ['step_1']), node('step_3', ['step_2'])]
    expect(groupNodes(chain, none).map(({ id }) => id)).toEqual(['step_1', 'step_2', 'step_3'])
  })
})
