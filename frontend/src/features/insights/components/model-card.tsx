import { Card, CardHeader } from '@/components/ui/card'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import type { Model } from '@/features/insights/api'
import { CalibrationPlot } from '@/features/insights/components/calibration-plot'
import { type ModelCard as Facts, type Figures, readCard } from '@/features/insights/model/card'
import { nameOfNumber } from '@/features/insights/model/words'
import { formatBytes, formatCount, formatMoment, plural } from '@/lib/format'

const KINDS: Record<Model['kind'], string> = {
  'executions-failures': 'Whether an execution fails',
  'executions-durations': 'How long an execution takes',
  'stages-failures': 'Whether a stage fails',
  'stages-durations': 'How long a stage takes',
}

/** What a model has learned from, and how well it predicts beside what needs no learning. */
export function ModelCard({ model }: { model: Model }) {
  const facts = readCard(model.card)
  const learnedFrom = [
    facts.runs !== null && `learned from ${plural(facts.runs, 'run')}`,
    facts.failures !== null && plural(facts.failures, 'failure'),
    `trained ${formatMoment(model.trained_at)}`,
    formatBytes(model.size),
  ].filter(Boolean)
  return (
    <Card aria-label={KINDS[model.kind]}>
      <CardHeader title={KINDS[model.kind]}>
        <span className="text-small text-muted-foreground">{learnedFrom.join(', ')}</span>
      </CardHeader>
      <div className="grid grid-cols-[minmax(0,1.6fr)_minmax(0,1fr)] gap-3.5 max-tablet:grid-cols-[minmax(0,1fr)]">
        <Comparison facts={facts} />
        {facts.calibration.length > 0 && (
          <div className="px-4 py-3">
            <CalibrationPlot bins={facts.calibration} />
          </div>
        )}
      </div>
      {facts.drift.length > 0 && (
        <p className="border-t border-border-soft px-4 py-2.5 text-small text-secondary-foreground">
          Different lately:{' '}
          {facts.drift.map(({ label, index }) => `${label} (${index.toFixed(2)})`).join(', ')}
        </p>
      )}
      <p className="mono border-t border-border-soft px-4 py-2 text-tiny text-muted-foreground">
        {model.id}
      </p>
    </Card>
  )
}

const COUNTS = new Set(['runs', 'failures'])

/** The figures of what answers, and of every simpler method, all measured on runs they had not seen. */
function Comparison({ facts }: { facts: Facts }) {
  const names = Object.keys(facts.metrics).filter((name) => !COUNTS.has(name))
  return (
    <div className="min-w-0 overflow-x-auto">
      <Table>
        <thead>
          <tr>
            <Th>Method</Th>
            {names.map((name) => (
              <Th key={name}>{nameOfNumber(name)}</Th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Line
            name={`what answers${facts.champion ? ` (${facts.champion})` : ''}`}
            figures={facts.metrics}
            names={names}
            strong
          />
          {Object.entries(facts.baselines).map(([name, figures]) => (
            <Line key={name} name={name} figures={figures} names={names} />
          ))}
        </tbody>
      </Table>
      {facts.metrics.runs != null && (
        <p className="px-4 pb-3 text-small text-muted-foreground">
          on {formatCount(facts.metrics.runs)} runs, each predicted from those before it
        </p>
      )}
    </div>
  )
}

type LineProps = { name: string; figures: Figures; names: string[]; strong?: boolean }

function Line({ name, figures, names, strong = false }: LineProps) {
  return (
    <Tr>
      <Td className={strong ? 'font-semibold' : ''}>{name}</Td>
      {names.map((key) => (
        <Td key={key} className={strong ? 'font-semibold' : 'text-muted-foreground'}>
          {figures[key] == null ? '' : figures[key].toFixed(3)}
        </Td>
      ))}
    </Tr>
  )
}
