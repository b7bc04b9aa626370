import { ArtifactView } from '@/features/executions/components/inspector/artifact-view'
import { JsonBlock } from '@/features/executions/components/inspector/json-block'
import { StageDetail } from '@/features/executions/components/inspector/stage-detail'
import type { Schemas } from '@/lib/api'

/** A table that later stages read without the rows in quarantine: the file itself still has them. */
function holdsRefused(artifact: Schemas['ArtifactBody'], result: unknown): boolean {
  const { data } = (result ?? {}) as { data?: { artifact_id?: unknown; without?: unknown } | null }
  return data?.artifact_id === artifact.id && typeof data.without === 'string'
}

type DataPanelProps = { executionId: string; run: Schemas['StageRunBody'] }

/** What the stage made: its artifacts and its result. */
export function DataPanel({ executionId, run }: DataPanelProps) {
  return (
    <StageDetail executionId={executionId} run={run}>
      {(detail) => (
        <>
          {detail.artifacts.map((artifact) => (
            <ArtifactView
              key={artifact.id}
              artifact={artifact}
              note={holdsRefused(artifact, detail.result) ? 'refused rows included' : undefined}
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
