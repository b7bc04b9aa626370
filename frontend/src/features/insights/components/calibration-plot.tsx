import type { CalibrationBin } from '@/features/insights/model/card'
import { formatChance, formatCount } from '@/lib/format'

const SIZE = 160
const MARGIN = 26

/** What was predicted against what happened: on the line, the probabilities are what they say. */
export function CalibrationPlot({ bins }: { bins: CalibrationBin[] }) {
  const most = Math.max(...bins.map(({ runs }) => runs), 1)
  const x = (share: number) => MARGIN + share * (SIZE - MARGIN)
  const y = (share: number) => (1 - share) * (SIZE - MARGIN)
  return (
    <figure>
      <figcaption className="mb-1.5 font-semibold">Predicted and happened</figcaption>
      <svg
        viewBox={`0 0 ${SIZE + 6} ${SIZE + 4}`}
        aria-hidden="true"
        className="w-full max-w-[260px] overflow-visible"
      >
        <path
          d={`M${x(0)},${y(0)}H${x(1)}M${x(0)},${y(0)}V${y(1)}`}
          stroke="var(--color-border)"
          fill="none"
        />
        <path
          d={`M${x(0)},${y(0)}L${x(1)},${y(1)}`}
          stroke="var(--color-muted-foreground)"
          strokeDasharray="3 3"
        />
        {bins
          .filter(({ runs }) => runs > 0)
          .map(({ predicted, happened, runs }) => (
            <circle
              key={predicted}
              cx={x(predicted)}
              cy={y(happened)}
              r={2 + 4 * Math.sqrt(runs / most)}
              fill="var(--color-insight)"
              fillOpacity={0.75}
            />
          ))}
        {[0, 0.5, 1].map((share) => (
          <g key={share} fontSize={8} fill="var(--color-muted-foreground)">
            <text x={x(share)} y={SIZE - MARGIN + 11} textAnchor="middle">
              {share * 100}%
            </text>
            <text x={MARGIN - 4} y={y(share) + 4} textAnchor="end">
              {share * 100}%
            </text>
          </g>
        ))}
      </svg>
      <details className="mt-1 text-small">
        <summary className="text-secondary-foreground">As a table</summary>
        <table className="mt-1">
          <thead>
            <tr>
              {['Predicted', 'Happened', 'Runs'].map((name) => (
                <th key={name} className="pr-4 text-left font-medium">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {bins.map(({ predicted, happened, runs }) => (
              <tr key={predicted}>
                <td>{formatChance(predicted)}</td>
                <td>{formatChance(happened)}</td>
                <td>{formatCount(runs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  )
}
