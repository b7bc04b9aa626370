import { ArtifactView } from '@/features/executions/components/inspector/artifact-view'
import { JsonBlock } from '@/features/executions/components/inspector/json-block'
import { StageDetail } from '@/features/executions/components/inspector/stage-detail'
import { isElsewhere, StageTable } from '@/features/executions/components/inspector/stage-table'
import type { Schemas } from '@/lib/api'

type DataPanelProps = { executionId: string; run: Schemas['StageRunBody'] }

/** What the stage made: its artifacts and its result. */
export function DataPanel({ executionId, run }: DataPanelProps) {
  return (
    <StageDetail executionId={executionId} run={run}>
      {(detail) => (
        <>
          <StageTable executionId={executionId} run={detail} />
          {detail.artifacts.map((artifact) => (
            <ArtifactView
              key={artifact.id}
              artifact={artifact}
              holdsRefused={artifact.kind === 'table' && isElsewhere(detail)}
            />
          ))}
          <JsonBlock
            title={detail.result_truncated ? 'Result (cut to 64 KB)' : 'Result'}
            value={detail.result}
            empty={detail.artifacts.length > 0 ? '' : 'The stage has no result.'}
          />
        </>
      )}
    </StageDetail>
  )
}
