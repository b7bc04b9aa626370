import { Badge } from '@/components/state-badge'
import type { Firing } from '@/features/triggers/api'

/** What became of an instant. That an execution has started says nothing yet of how it went: no colour. */
const APPEARANCES = {
  started: { tone: 'queued', icon: 'executions', word: 'Started' },
  skipped: { tone: 'skipped', icon: 'skip', word: 'Skipped' },
  refused: { tone: 'failed', icon: 'cross', word: 'Refused' },
  missed: { tone: 'retrying', icon: 'clock-cross', word: 'Missed' },
} as const

export function FiringState({ state }: { state: Firing['state'] }) {
  return <Badge {...APPEARANCES[state]} />
}
